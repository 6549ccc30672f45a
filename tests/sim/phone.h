// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/audio.h"
#include "sim/node.h"
#include "sip/sdp.h"

namespace sheaf::sim {

enum class HoldSpelling { sendonly, inactive, zero_address };

// One dialog of a phone, from its first INVITE to its last message.
struct Line {
    enum class State { calling, offered, talking, ending };
    LineId id = 0;
    sip::DialogId dialog = 0;
    State state = State::calling;
    bool ours = false;  // we called
    std::string call_id;
    std::string number;  // whom we called, or who calls
    std::string at;      // our RTP address
    std::string offer;   // theirs, unanswered
    std::optional<sip::SessionDescription> local, remote;
    std::uint64_t version = 0;
    std::optional<HoldSpelling> hold;    // we hold
    bool is_changing = false;            // our re-INVITE is out
    std::optional<HoldSpelling> before;  // what a re-INVITE that fails goes back to
    bool auto_answer = false;
    sip::ClientRequest refer = 0;
};

// A telephone of one person, or the switch of a carrier with all its customers: dialogs and their media, and nothing of
// why. What happens is told to whoever uses it.
class Phone : public Node {
public:
    // The user's side. A line told as over is gone when the call returns.
    class User {
    public:
        virtual ~User() = default;
        virtual void registered(Phone&, bool /*done*/) {}
        virtual void rings(Phone&, Line&, const sip::Message& invite) = 0;
        virtual void progresses(Phone&, Line&, int /*status*/) {}
        virtual void answers(Phone&, Line&) {}                 // ours was answered
        virtual void stands(Phone&, Line&) {}                  // we answered, and they know
        virtual void over(Phone&, Line&, int /*status*/) = 0;  // not by our own hand; 0: ended by them
        virtual void changed(Phone&, Line&, bool /*done*/) {}  // our hold or retrieve
        virtual void refer_answered(Phone&, Line&, int /*status*/) {}
        virtual void refer_over(Phone&, Line&, int /*status*/) {}  // by NOTIFY
        virtual void told_to_answer(Phone&, Line&) {}
        virtual int referred(Phone&, Line&, const sip::Message& /*refer*/) { return 603; }  // the status it gets
    };

    Phone(World& world, Network& network, Audio& audio, std::string name, std::string area, std::string address,
          User& user);

    void register_at(const std::string& host, const std::string& dn, const std::string& password, int expires_s);
    // Nothing goes out before `send`: the caller first notes whose line it is.
    LineId call(const std::string& host, const std::string& number, const std::string& from,
                const std::optional<sip::Account>& account, const std::vector<sip::Header>& headers = {});
    void send() { pump(); }
    void ring(LineId line);
    void answer(LineId line);
    void reject(LineId line, int status);
    void hang_up(LineId line);                                // whatever its state; gone at once but for the messages
    bool hold(LineId line, std::optional<HoldSpelling> how);  // nothing: retrieve. False: not now
    bool refer(LineId line, const std::string& refer_to);
    void notify(LineId line, int status, bool last);  // of a REFER we took
    // What names this dialog to its other end in a Replaces (RFC 3891), fit for a URI's headers; empty: no tag yet.
    [[nodiscard]] std::string replaces_of(LineId line);

    [[nodiscard]] Line* line(LineId id);
    [[nodiscard]] std::size_t lines() const { return lines_.size(); }
    [[nodiscard]] Audio& audio() { return audio_; }
    static LineId last_line() { return last_line_; }

protected:
    void on_event(const sip::Event& event) override;

private:
    Line& add(sip::DialogId dialog, bool ours);
    void remove(Line& line);
    [[nodiscard]] Line* of(sip::DialogId dialog);
    [[nodiscard]] sip::LocalMedia local_media(const Line& line) const;
    std::string next_offer(Line& line);
    std::optional<std::string> answer_to(Line& line, const std::string& offer);
    void agree(Line& line);
    void take_remote(Line& line, const std::string& body);
    void on_reinvited(const sip::Reinvited& event);
    void on_answered(const sip::Answered& event);
    void on_failed(const sip::Failed& event);
    void on_requested(const sip::Requested& event);
    void on_responded(const sip::Responded& event);

    static inline LineId last_line_ = 0;
    Audio& audio_;
    User& user_;
    std::map<LineId, Line> lines_;
    std::map<sip::DialogId, LineId> by_dialog_;
    std::uint32_t ports_ = 0;
    sip::ClientRequest registering_ = 0;
    std::string registration_;
    std::uint32_t registrations_ = 0;
};

}  // namespace sheaf::sim
