// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/switch/ladder_files.h"
#include "base/fact.h"
#include "edge/http/server.h"
#include "edge/net/sip_node.h"
#include "exchange/exchange.h"
#include "ladder/ladder.h"

namespace sheaf::apps {

// The SIP messages of the switch's calls: of those in progress and the last ones in memory, of recorded ones in files
// once they are over. One thread: the io_context's.
class CallLadder {
public:
    // `bytes_max`: of the files in `folder`; 0: there are none.
    [[nodiscard]] static Result<std::unique_ptr<CallLadder>> open(boost::asio::io_context& io, std::string folder,
                                                                  std::uint64_t bytes_max);
    ~CallLadder() = default;
    CallLadder(const CallLadder&) = delete;
    CallLadder& operator=(const CallLadder&) = delete;

    void passed(const net::SipNode::Passed& message);
    void dialog(const LegId& leg, std::string_view call_id);  // of B2bua::watch_dialogs
    // After a step whose effects have been carried out.
    void stepped(const exchange::Exchange& exchange, const exchange::Event& event,
                 const std::vector<exchange::Effect>& effects);
    enum class Form { json, pcap };
    void answer(const CallUuid& call, Form form, http::Reply reply);
    void close();  // what is to be kept is handed to the files' thread

private:
    CallLadder(boost::asio::io_context& io, std::unique_ptr<LadderFiles> files);
    void heard(const exchange::SayFact& fact);
    void keep_when_quiet(const CallUuid& call);
    void keep(const CallUuid& call);
    void arm();

    boost::asio::io_context& io_;
    boost::asio::steady_timer timer_;
    ladder::Ladder ladder_;
    std::set<CallUuid> recorded_;  // calls in progress
    // Calls that are over, and when their last message will have passed.
    std::deque<std::pair<Instant, CallUuid>> to_be_kept_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by what the files' thread posts
    std::unique_ptr<LadderFiles> files_;                          // null: none
};

}  // namespace sheaf::apps
