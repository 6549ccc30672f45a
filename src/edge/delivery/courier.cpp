// SPDX-License-Identifier: Apache-2.0
#include "edge/delivery/courier.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <fstream>
#include <map>
#include <random>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/match.h"
#include "edge/delivery/messages.h"
#include "edge/http/client.h"
#include "edge/store/outbox_sqlite.h"

namespace sheaf::delivery {
namespace {

namespace asio = boost::asio;
using link::DeliveryEffect;
using link::DeliveryInput;

// One batch and the files, each on its own connection.
constexpr std::size_t kConnections = 1 + link::kFilesMax;

// Of the file as it is now; empty: it cannot be read.
std::string digest_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    Sha256Stream digest;
    std::array<char, std::size_t{1} << 16U> block{};
    while (file.read(block.data(), block.size()) || file.gcount() > 0)
        digest.add(as_bytes({block.data(), static_cast<std::size_t>(file.gcount())}));
    return file.eof() ? to_hex(digest.finish()) : std::string();
}

class OutboxCourier final : public Courier {
public:
    OutboxCourier(asio::io_context& io, CourierOptions options, CourierEvents events,
                  std::unique_ptr<link::Outbox> outbox)
        : io_(io),
          options_(std::move(options)),
          events_(std::move(events)),
          outbox_(std::move(outbox)),
          client_(http::Client::create(io, kConnections)),
          timer_(io),
          alive_(std::make_shared<bool>(true)) {
        input(link::Added{});
    }
    ~OutboxCourier() override { *alive_ = false; }
    OutboxCourier(const OutboxCourier&) = delete;
    OutboxCourier& operator=(const OutboxCourier&) = delete;

    Result<std::uint64_t> add(const std::vector<FactDraft>& drafts) override {
        TRY(const auto first, outbox_->add(drafts));
        if (!drafts.empty()) input(link::Added{});
        return first;
    }
    Result<void> add_file(const link::OutboxFile& file) override {
        TRY_VOID(outbox_->add_file(file));
        input(link::Added{});
        return {};
    }
    Result<link::Outbox::Unfinished> unfinished() override { return outbox_->unfinished(); }
    Result<void> alive(const Stamp& now) override { return outbox_->alive(now); }
    Result<std::uint64_t> first_pending() override { return outbox_->first_pending(); }
    Result<link::Outbox::Counts> counts() override { return outbox_->counts(); }

private:
    // One input, its effects in order, then the inputs that came of them.
    void input(DeliveryInput first) {
        if (options_.archive_url.empty()) return;
        inputs_.push_back(std::move(first));
        if (inputs_.size() > 1) return;  // called while carrying out an effect: its turn comes
        while (!inputs_.empty()) {
            const Instant now(std::chrono::steady_clock::now().time_since_epoch());
            for (const auto& effect : delivery_.step(inputs_.front(), now, static_cast<std::uint32_t>(random_()))) {
                carry_out(effect);
            }
            inputs_.pop_front();
        }
    }

    void carry_out(const DeliveryEffect& effect) {
        std::visit(
            Match{[&](const link::ReadFacts& read) { read_facts(read); },
                  [&](const link::ReadFiles& read) { read_files(read); },
                  [&](const link::SendBatch& send) { send_batch(send); },
                  [&](const link::PutFile& put) { put_file(put.file); },
                  [&](const link::MarkDelivered& mark) { stored(outbox_->delivered(mark.fact_ids)); },
                  [&](const link::MarkRefused& mark) { stored(outbox_->refused(mark.fact.id, mark.fact.reason)); },
                  [&](const link::MarkFileDelivered& mark) { file_delivered(mark.segment); },
                  [&](const link::MarkFileRefused& mark) {
                      stored(outbox_->file_refused(mark.segment, take_digest(mark.segment), mark.reason));
                  },
                  [&](const link::WakeAt& wake) { wake_at(wake.at); }, [&](const link::Say& say) { announce(say); }},
            effect);
    }

    void stored(const Result<void>& result) {
        if (!result) input(link::StoreFailed{result.error().what});
    }

    void read_facts(const link::ReadFacts& read) {
        auto facts = outbox_->pending(read.count, read.bytes);
        facts ? input(link::FactsRead{std::move(*facts)}) : input(link::StoreFailed{facts.error().what});
    }

    void read_files(const link::ReadFiles& read) {
        auto files = outbox_->pending_files(read.count);
        files ? input(link::FilesRead{std::move(*files)}) : input(link::StoreFailed{files.error().what});
    }

    void send_batch(const link::SendBatch& send) {
        client_->send(facts_request(options_.archive_url, options_.archive_token, send.facts),
                      [this](const Result<http::ClientResponse>& response) { input(facts_answer(response)); });
    }

    void put_file(const link::OutboxFile& file) {
        under_way_[file.segment] = file.sha256;
        client_->send(file_request(options_.archive_url, options_.archive_token, file),
                      [this, file](const Result<http::ClientResponse>& response) {
                          auto answer = file_answer(file.segment, file.sha256, response);
                          const bool is_spoilt = response && response->status == 400;
                          if (is_spoilt && digest_of(file.path) != file.sha256)
                              answer = {file.segment, link::Outcome::refused, "the file is not what it was"};
                          input(std::move(answer));
                      });
    }

    // The file is freed only once the outbox has forgotten it; otherwise it is put again, which changes nothing.
    void file_delivered(const std::string& segment) {
        const std::string digest = take_digest(segment);
        const auto result = outbox_->file_delivered(segment, digest);
        stored(result);
        if (!result || !events_.file_delivered) return;
        later([this, segment, digest] { events_.file_delivered(segment, digest); });
    }
    std::string take_digest(const std::string& segment) {
        const auto node = under_way_.extract(segment);
        return node.empty() ? std::string() : std::move(node.mapped());
    }

    void announce(const link::Say& say) {
        if (events_.notice) later([this, say] { events_.notice(say.notice, say.detail); });
    }

    void wake_at(Instant at) {
        timer_.expires_at(std::chrono::steady_clock::time_point(
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.time_since_epoch())));
        timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
            if (!error && *alive) input(link::Tick{});
        });
    }

    void later(std::function<void()> act) {
        asio::post(io_, [alive = alive_, act = std::move(act)] {
            if (*alive) act();
        });
    }

    asio::io_context& io_;
    CourierOptions options_;
    CourierEvents events_;
    std::unique_ptr<link::Outbox> outbox_;
    std::unique_ptr<http::Client> client_;
    asio::steady_timer timer_;
    std::random_device random_;
    link::Delivery delivery_;
    std::deque<DeliveryInput> inputs_;
    std::map<std::string, std::string> under_way_;  // segment → digest of the file that is being put
    std::shared_ptr<bool> alive_;                   // shared: with what was posted
};

}  // namespace

std::string_view text_of(link::Notice notice) {
    switch (notice) {
        case link::Notice::archive_away:
            return "the archive does not take what is delivered; it is kept and sent later";
        case link::Notice::archive_back: return "the archive takes what is delivered again";
        case link::Notice::credentials_refused: return "the archive refuses our token; everything is kept";
        case link::Notice::fact_refused: return "the archive refused a fact; it is put aside";
        case link::Notice::file_refused: return "the archive refused a segment's file; it is put aside";
        case link::Notice::outbox_failed: return "the outbox cannot be read or written";
    }
    return "";
}

Result<std::unique_ptr<Courier>> Courier::open(asio::io_context& io, CourierOptions options, CourierEvents events) {
    TRY(auto outbox, store::open_outbox(options.outbox, options.tenant, options.site, options.node, options.owner));
    return std::make_unique<OutboxCourier>(io, std::move(options), std::move(events), std::move(outbox));
}

}  // namespace sheaf::delivery
