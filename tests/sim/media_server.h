// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mediactl/media_control.h"
#include "sim/audio.h"
#include "sim/node.h"

namespace sheaf::sim {

class Archive;
class Teller;

// A site's media server: the real control on a real user agent, and below it, in place of packets, who is sent to whom.
// A recording is an interval; what a crash leaves of it is said at the next start, as the journal would have it.
class MediaServer final : public Node, public mediactl::MediaResources {
public:
    MediaServer(World& world, Network& network, Audio& audio, Archive& archive, const std::string& site,
                std::string address, Clock clock, std::string allowed);
    ~MediaServer() override;

    void crash();
    void restart();
    void disk_full(bool is_full) { disk_is_full_ = is_full; }  // no recording can begin
    void press(const std::string& at, char digit);             // towards this leg's end of the audio

    // When nothing of a segment was stored, and why.
    struct Silence {
        std::string label;
        Instant from{}, to{};
        bool is_over = false;
    };
    [[nodiscard]] const std::vector<Silence>& silences_of(const SegmentId& segment) const;

    struct Counts {
        std::size_t legs = 0, rooms = 0, recordings = 0, ports = 0;
        friend bool operator==(const Counts&, const Counts&) = default;
    };
    [[nodiscard]] Counts counts() const;

protected:
    void on_event(const sip::Event& event) override;
    void on_due() override;
    [[nodiscard]] std::optional<Instant> own_deadline() const override;

private:
    struct Running {
        media::SegmentHead head;
        LegId leg;
        Instant true_from{};
    };
    struct Leg {
        std::string at;  // its end in the audio
        RoomId room;
        std::set<SegmentId> recordings;
        std::string play;
        std::uint64_t plays = 0;
        bool collects = false;
    };
    Result<mediactl::RtpPair> allocate_ports() override;
    std::shared_ptr<const media::Prompt> find_prompt(const std::string& uri) override;
    void silence(const SegmentId& segment, const std::string& label);
    void resume(const SegmentId& segment, const std::string& label);
    void carry_out(std::vector<mediactl::Effect> effects);
    void command(const media::Command& command);
    void configure(const media::ConfigureLeg& order);
    void notice(media::Notice notice);
    void start_play(const media::Play& play);
    void end_play(const LegId& id, Leg& leg, bool completed);
    void start_recording(const media::StartRecording& order);
    void seal(const SegmentId& segment, const std::string& cause);
    void say_sealed(const Running& running, Stamp when, const std::string& cause);

    Audio& audio_;
    std::string allowed_;
    std::unique_ptr<Teller> teller_;
    std::unique_ptr<mediactl::MediaControl> control_;
    std::map<LegId, Leg> legs_;
    std::map<SegmentId, Running> running_;
    std::map<SegmentId, std::vector<Silence>> silences_;
    std::vector<std::pair<Running, Stamp>> left_by_crash_;
    std::map<std::string, std::shared_ptr<const media::Prompt>> prompts_;
    std::vector<media::Notice> notices_;
    bool disk_is_full_ = false;
    std::size_t ports_ = 0;
    std::uint16_t next_port_ = 20'000;
    std::map<int, std::uint16_t> port_of_;  // by the socket that stands for it
};

}  // namespace sheaf::sim
