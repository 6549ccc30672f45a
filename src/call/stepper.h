// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_fields.h"
#include "call/call.h"

// For the files of this room only.
namespace sheaf::call {

// One step under way: the call as it becomes and what is said and done meanwhile.
//
//   call.cpp        parties come, answer, wait, leave
//   company.cpp     who holds whom, and calls that become one
//   recordings.cpp  what is stored of whom
//   consent.cpp     who is told of it, and other things said over a treatment
class Stepper {
public:
    explicit Stepper(Call call) : call_(std::move(call)) {}

    void on(const Begun& event);
    void on(const Arrived& event);
    void on(const Entered& event);
    void on(const Accept& event);
    void on(const Called& event);
    void on(const Alerted& event);
    void on(const Answered& event);
    void on(const Established& event);
    void on(const Refused& event);
    void on(const Left& event);
    void on(const Clear& event);
    void on(const Withdraw& event);
    void on(const Enqueue& event);
    void on(const Treat& event);
    void on(const Untreat& event);
    void on(const PlayEnded& event);
    void on(const End& event);

    void on(const PutOnHold& event);
    void on(const Retrieved& event);
    void on(const FarSide& event);
    void on(const Merged& event);
    void on(const Absorbed& event);

    void on(const Record& event);
    void on(const StopRecord& event);
    void on(const PauseRecording& event);
    void on(const ResumeRecording& event);
    void on(const RecordingOpened& event);
    void on(const RecordingFailed& event);

    void on(const Announce& event);
    void on(const ToneDue& event);
    void on(const PlayBegan& event);

    // After the event: what follows from who is there now.
    void settle();
    void look_again();
    Step take() { return {std::move(call_), std::move(effects_)}; }

private:
    enum class Leg { ended, ours_to_end };
    enum class Departure { hung_up, refused };  // with the call, or from a call that goes on

    Connection* at(const LegId& leg);
    bool add(const ConnectionId& id, const LegId& leg, const Party& party, ConnectionState state,
             const std::optional<ToRecord>& record);
    void say(std::string type, JsonFields data) { say(std::move(type), object_in_one_piece(data)); }
    void say(std::string type, boost::json::object data);
    void tell(std::string type, const Party& about, std::string_view cause = {});
    void join(const Connection& connection);
    void wait_at(Connection& connection, const std::string& routing_point);
    void leave_queue(Connection& connection, std::string_view reason);
    void depart(const LegId& leg, Cause cause, Leg leg_is, Departure why, int status = 0,
                const std::string& reason = {});
    void end_if_alone(Cause cause);
    void end_all(Cause cause, int status, const std::string& reason);

    void say_treatment(std::string type, const Connection& connection, bool failed = false);
    void begin_treatment(Connection& connection, std::vector<std::string> items, bool for_hold = false,
                         bool once = false);
    [[nodiscard]] std::string new_play();
    void play_next(Connection& connection);
    void interrupt_treatment(Connection& connection, bool leg_lives);
    void stop_treatment(Connection& connection, bool leg_lives);

    // Whether a recording that is about to begin waits for somebody to be told.
    [[nodiscard]] bool waits_for_consent(Connection& recorded, ToRecord& wanted);
    [[nodiscard]] std::vector<Connection*> hearers_of(const Connection& recorded, const Consent& consent);
    void start_notice(Connection& hearer, std::vector<std::string> items, const SegmentId& segment, bool is_tone);
    void stop_notice(Connection& hearer, bool leg_lives);
    void notice_ended(Connection& hearer, bool failed);
    void consent_failed(const Connection& hearer, const Notice& notice);
    void take_over_consent(const Connection& former, Connection& recorded);
    void end_consent(const Connection& recorded);
    void leave_hearers(const Connection& hearer);
    void stop_notices_unheard();
    void begin_notices();
    void settle_tone(const Connection& recorded, Recording& recording, const std::vector<Connection*>& hearers);
    void say_consent(std::string type, const ConnectionId& hearer, const Connection& recorded,
                     boost::json::object data = {});

    [[nodiscard]] std::optional<ConnectionId> holder_of(const Connection& connection) const;
    void end_hold(Connection& connection);
    [[nodiscard]] bool still_holds(const ConnectionId& id) const;
    [[nodiscard]] bool hears_nobody(const Connection& connection) const;
    void settle_holds();
    void settle_rooms();

    void start_recordings();
    void start_recording(Connection& connection, const ToRecord& record);
    void silence_recordings();
    void resume_recordings();
    void say_lost(const Connection& connection, const Recording& recording, Instant now);
    void stop_recording(Connection& connection, Cause cause);
    [[nodiscard]] bool is_stored_nothing(const Connection& connection) const;

    Call call_;
    std::vector<Effect> effects_;
    bool is_over_ = false;
};

}  // namespace sheaf::call
