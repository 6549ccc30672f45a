// SPDX-License-Identifier: Apache-2.0
#include "apps/media/media_role.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "apps/config/log.h"
#include "apps/media/prompts_cache.h"
#include "apps/media/worker.h"
#include "base/match.h"
#include "edge/delivery/courier.h"
#include "edge/journal/journal_files.h"
#include "edge/journal/journal_writer.h"
#include "edge/journal/late_erasure.h"
#include "edge/journal/sealer.h"
#include "edge/net/clock.h"
#include "edge/net/sip_node.h"
#include "edge/net/udp_socket.h"
#include "mediactl/media_control.h"
#include "sip/grammar.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;
using media_role::PromptCache;
using media_role::Worker;

constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::seconds kKeepMin{150};
constexpr std::string_view kOutbox = "outbox.db";

// Ports and prompts for the control.
class Resources : public mediactl::MediaResources {
public:
    Resources(const config::MediaSettings& settings, PromptCache prompts)
        : address_(settings.rtp_address),
          ports_(settings.rtp_address, settings.rtp_port_first, settings.rtp_port_last),
          prompts_(std::move(prompts)) {}

    Result<mediactl::RtpPair> allocate_ports() override {
        TRY(net::RtpPair pair, ports_.allocate());
        const std::uint16_t port = pair.rtp.local().port();
        return mediactl::RtpPair{address_, port, pair.rtp.release(), pair.rtcp.release()};
    }
    std::shared_ptr<const media::Prompt> find_prompt(const std::string& uri) override {
        return prompts_.find(uri).value_or(nullptr);
    }
    bool knows_segment(const SegmentId& segment) const override {
        return (files != nullptr && files->mentions(segment)) || !journal::find_segment_file(folder, segment).empty();
    }

    std::string folder;                            // of the segments
    const journal::JournalFiles* files = nullptr;  // not ours

private:
    std::string address_;
    net::RtpPorts ports_;
    PromptCache prompts_;
};

class Role final : public MediaRole {
public:
    Role(boost::asio::io_context& io, config::MediaSettings settings)
        : io_(io), settings_(std::move(settings)), timer_(io) {}
    ~Role() override {
        alive_.reset();  // what the threads have posted finds nobody any more
        if (stopper_.joinable()) stopper_.join();
        timer_.cancel();
        if (node_) node_->close();
        if (worker_) worker_->stop("shutdown");
        if (writer_) writer_->stop();
        if (sealer_) sealer_->stop(std::chrono::milliseconds{0});
    }
    Role(const Role&) = delete;
    Role& operator=(const Role&) = delete;

    Result<void> start() {
        std::error_code error;
        fs::create_directories(settings_.node.data, error);
        if (error) return fail(Errc::io, settings_.node.data + ": " + error.message());
        TRY(PromptCache prompts, PromptCache::load(settings_.prompts));
        resources_ = std::make_unique<Resources>(settings_, std::move(prompts));
        TRY_VOID(open_courier());
        TRY_VOID(open_journal());
        const media_role::WorkerSettings work{.silence_max = std::chrono::milliseconds{settings_.rtp_silence_ms}};
        TRY(worker_, Worker::start(work, *writer_, from_thread([this] { take_notices(); })));
        TRY_VOID(open_sip());
        look();
        return {};
    }

    [[nodiscard]] Bound bound() const override {
        Bound out;
        for (const auto& endpoint : node_->bound()) out.sip.push_back(sip::to_text(endpoint));
        out.rtp = sip::host_to_text(settings_.rtp_address) + ":" + std::to_string(settings_.rtp_port_first) + "-" +
                  std::to_string(settings_.rtp_port_last);
        return out;
    }
    [[nodiscard]] Counts counts() const override {
        const auto journal = writer_->counters();
        const auto sealer = sealer_->counters();
        return {.legs = control_->counts().legs,
                .recordings = control_->counts().recordings,
                .packets_received = worker_->counters().rtp_received,
                .packets_stored = journal.packets,
                .packets_overflow = journal.packets_overflow,
                .packets_unwritten = journal.packets_unwritten,
                .journal_errors = journal.errors,
                .segments_sealed = sealer.sealed,
                .segments_recovered = sealer.recovered,
                .segments_waiting = sealer.waiting + sealed_.size()};
    }

    void stop(std::function<void()> done) override {
        if (stopped_) return boost::asio::post(io_, std::move(done));
        stopped_ = std::move(done);
        carry_out(control_->shut_down("shutdown"));
        node_->pump();
        worker_->stop("shutdown");
        take_notices();
        // Disks may be slow: not on this thread, which goes on answering SIP and taking what is sealed.
        stopper_ = std::thread([this, finish = from_thread([this] { finish_stop(); })] {
            writer_->stop();
            sealer_->stop(std::chrono::milliseconds{kMediaStopMaxMs});
            finish();
        });
    }

private:
    // A function for other threads that does its work on ours, unless we are gone by then.
    std::function<void()> from_thread(std::function<void()> work) {
        return [this, work = std::move(work), alive = std::weak_ptr<int>(alive_)] {
            boost::asio::post(io_, [work, alive] {
                if (!alive.expired()) work();
            });
        };
    }

    Result<void> open_courier() {
        const auto& node = settings_.node;
        delivery::CourierOptions options{(fs::path(node.data) / kOutbox).string(),
                                         node.tenant,
                                         node.site,
                                         node.name,
                                         "media",
                                         settings_.archive.url,
                                         settings_.archive.token};
        delivery::CourierEvents events;
        events.notice = [](link::Notice notice, const std::string& detail) {
            config::log_warn(delivery::text_of(notice), {{"detail", detail}});
        };
        events.file_delivered = [this](const std::string& segment, const std::string& sha256) {
            if (sealer_) sealer_->delivered(SegmentId(segment), sha256);
        };
        TRY(courier_, delivery::Courier::open(io_, std::move(options), std::move(events)));
        return {};
    }

    Result<void> open_journal() {
        const std::string folder = (fs::path(settings_.node.data) / "media").string();
        TRY(files_,
            journal::JournalFiles::open(folder + "/journal/0", journal::last_noted_file(folder + "/erasing") + 1));
        resources_->folder = folder;
        resources_->files = files_.get();
        journal::Sealer::Hooks sealing;
        sealing.on_sealed = [this, alive = std::weak_ptr<int>(alive_)](journal::SealedSegment segment) {
            auto shared = std::make_shared<journal::SealedSegment>(std::move(segment));  // a post is copied
            boost::asio::post(io_, [this, alive, shared] {
                if (!alive.expired()) keep(std::move(*shared));
            });
        };
        sealing.on_erased = [this, alive = std::weak_ptr<int>(alive_)](std::uint64_t ticket,
                                                                       Result<journal::ErasedSegment> erased) {
            auto shared = std::make_shared<Result<journal::ErasedSegment>>(std::move(erased));  // a post is copied
            boost::asio::post(io_, [this, alive, ticket, shared] {
                if (!alive.expired()) on_erased(ticket, std::move(*shared));
            });
        };
        sealing.on_trouble = [](const SegmentId& segment, const Error& error) {
            config::log_error("a segment cannot be sealed yet", {{"segment", segment.text()}, {"why", error.what}});
        };
        TRY(sealer_,
            journal::Sealer::start(
                {.folder = folder,
                 .format = settings_.format == config::ArchiveFormat::flac ? journal::AudioFormat::flac
                                                                           : journal::AudioFormat::wav,
                 // A pause that is heard of late still finds what it takes something back of.
                 .keep = std::max<std::chrono::milliseconds>(std::chrono::milliseconds{settings_.keep_ms}, kKeepMin)},
                *files_, std::move(sealing)));
        journal::JournalWriter::Hooks writing;
        writing.on_closed = [this](journal::ClosedSegment segment) { sealer_->add(std::move(segment)); };
        writing.on_trouble = [](const Error& error) {
            config::log_error("the journal cannot be written: recordings lose audio", {{"why", error.what}});
        };
        writing.on_silenced = [this, alive = std::weak_ptr<int>(alive_)](std::uint64_t ticket) {
            boost::asio::post(io_, [this, alive, ticket] {
                if (alive.expired()) return;
                carry_out(control_->notice(net::now(), media::CommandDone{ticket}));
                node_->pump();
            });
        };
        journal::JournalOptions options;
        options.tenant = TenantId(settings_.node.tenant);
        options.site = SiteId(settings_.node.site);
        options.node = NodeId(settings_.node.name);
        TRY(writer_, journal::JournalWriter::start(options, *files_, std::move(writing)));
        return {};
    }

    Result<void> open_sip() {
        auto options = mediactl::options_of_media_server();
        for (const auto& text : settings_.sip) {
            TRY(auto endpoint, sip::endpoint_from_text(text));
            options.listen.push_back(std::move(endpoint));
        }
        if (options.listen.empty()) return fail(Errc::malformed, "media.sip is empty");
        options.advertise = settings_.advertise;
        mediactl::MediaControlSettings control;
        const auto advertised = sip::host_port_from_text(settings_.advertise, false);
        const std::string host = advertised ? advertised->host : settings_.advertise;
        if (sip::is_ip_literal(host)) control.sdp_address = host;
        control.allow = settings_.allow;
        control.switch_silence_max = std::chrono::milliseconds{settings_.switch_silence_ms};
        control_ = std::make_unique<mediactl::MediaControl>(std::move(control), *resources_);
        TRY(node_,
            net::SipNode::start(io_, std::move(options), [this](Instant, const sip::Event& event) { on_sip(event); }));
        node_->admit_by_share({}, [this](const std::string& address) {
            const bool may_ask = control_->is_allowed(address);
            return sip::Sender{may_ask ? sip::Sender::Kind::peer : sip::Sender::Kind::stranger, 0};
        });
        return {};
    }

    void on_sip(const sip::Event& event) {
        std::string tag;
        if (const auto* invited = std::get_if<sip::Invited>(&event)) {
            if (stopped_) return node_->agent().reject(net::now().mono, invited->dialog, 503);
            if (const auto view = node_->agent().view(invited->dialog)) tag = view->local_tag;
        }
        carry_out(control_->handle(net::now(), event, tag));
    }

    void take_notices() {
        for (const media::Notice& notice : worker_->take_notices()) carry_out(control_->notice(net::now(), notice));
        node_->pump();
    }

    void carry_out(std::vector<mediactl::Effect> effects) {
        std::vector<FactDraft> facts;
        for (mediactl::Effect& effect : effects) {
            std::visit(
                Match{[&](FactDraft& fact) { facts.push_back(std::move(fact)); },
                      [&](mediactl::Order& order) { command(std::move(order.command)); },
                      [&](mediactl::EraseEnded& e) { erase(std::move(e)); },
                      [&](mediactl::Complain& c) { config::log_warn(c.what, {{"leg", c.leg}, {"why", c.detail}}); },
                      [&](const auto& answer) { say(answer); }},
                effect);
        }
        keep_facts(std::move(facts));
    }
    void say(const mediactl::AnswerInvite& e) { node_->agent().answer(net::now().mono, e.dialog, e.sdp); }
    void say(const mediactl::RejectInvite& e) {
        node_->agent().reject(net::now().mono, e.dialog, e.status, e.headers, e.reason);
    }
    void say(const mediactl::SendBye& e) { node_->agent().bye(net::now().mono, e.dialog); }
    void say(const mediactl::RespondTo& e) {
        node_->agent().respond(net::now().mono, e.request, e.status, e.headers, e.content_type, e.body);
    }
    void say(const mediactl::SendInfo& e) {
        static_cast<void>(
            node_->agent().request(net::now().mono, e.dialog, "INFO", {}, std::string(mediactl::kMsmlType), e.body));
    }

    // A worker that takes no more commands has refused this one.
    void command(media::Command command) {
        const auto* added = std::get_if<media::AddLeg>(&command);
        const std::pair<int, int> sockets =
            added == nullptr ? std::pair(-1, -1) : std::pair(added->rtp_socket, added->rtcp_socket);
        media::Notice refused = refusal_of(command);
        const LegId leg = std::visit([](const auto& c) { return leg_of(c); }, command);
        auto taken = worker_->command(std::move(command));
        if (taken || stopped_) return;
        if (sockets.first >= 0) ::close(sockets.first);
        if (sockets.second >= 0) ::close(sockets.second);
        config::log_error("the media worker takes no commands", {{"leg", leg.text()}, {"why", taken.error().what}});
        from_thread([this, refused = std::move(refused)] {
            carry_out(control_->notice(net::now(), refused));
            node_->pump();
        })();
    }
    static media::Notice refusal_of(const media::Command& command) {
        const std::string why = "the media worker is busy";
        const auto failed = [&](const SegmentId& segment, const char* name, std::uint64_t ticket) {
            return media::CommandFailed{{}, segment, name, {Errc::exhausted, why}, ticket};
        };
        if (const auto* c = std::get_if<media::StartRecording>(&command)) {
            return media::RecordingFailed{c->leg, c->segment, why};
        }
        if (const auto* c = std::get_if<media::SilenceRecording>(&command)) {
            return failed(c->segment, "SilenceRecording", c->ticket);
        }
        if (const auto* c = std::get_if<media::ResumeRecording>(&command)) {
            return failed(c->segment, "ResumeRecording", c->ticket);
        }
        if (const auto* c = std::get_if<media::CollectDigits>(&command)) return failed({}, "CollectDigits", c->ticket);
        // As one that could not be added: the control no longer knows how the leg stands.
        const LegId leg = std::visit([](const auto& c) { return leg_of(c); }, command);
        return media::CommandFailed{leg, {}, "AddLeg", {Errc::exhausted, why}};
    }
    template <typename T>
    static LegId leg_of(const T& command) {
        if constexpr (requires { command.leg; }) {
            return command.leg;
        } else {
            return {};
        }
    }

    // ---- A pause that came when its segment had ended -----------------------------------------------------------
    void erase(mediactl::EraseEnded order) {
        const Stamp now = net::now();
        const Stamp from{now.mono - order.back,
                         now.wall - std::chrono::duration_cast<std::chrono::milliseconds>(order.back)};
        sealer_->erase({std::move(order.segment), std::move(order.silence), from, order.ticket, order.is_over});
    }
    void on_erased(std::uint64_t ticket, Result<journal::ErasedSegment> erased) {
        if (erased) {
            if (erased->file) erased_seqs_.erase(erased->file->segment);
            keep_facts(std::move(erased->facts));
            if (erased->file) {
                config::log_warn("erased of a segment that had ended what a pause came too late for",
                                 {{"segment", erased->file->segment.text()}});
                std::erase_if(replaced_, [&](const auto& file) { return file.segment == erased->file->segment; });
                replaced_.push_back(std::move(*erased->file));
            }
        }
        const media::Notice notice =
            erased ? media::Notice(media::CommandDone{ticket})
                   : media::Notice(media::CommandFailed{{}, {}, "EraseEnded", erased.error(), ticket});
        if (ticket != 0) carry_out(control_->notice(net::now(), notice));
        node_->pump();
    }

    // ---- To the archive: what the outbox cannot take waits here and is tried again every second ----------------
    void keep_facts(std::vector<FactDraft> facts) {
        for (auto& fact : facts) facts_.push_back(std::move(fact));
        if (facts_.empty() || is_outbox_failing_) return shed();
        const auto added = courier_->add(facts_);
        if (!added) {
            is_outbox_failing_ = true;
            config::log_error("the outbox does not take facts", {{"why", added.error().what}});
            return shed();
        }
        std::uint64_t seq = *added;
        for (const FactDraft& fact : std::exchange(facts_, {})) {
            if (fact.type == "segment.erased")
                erased_seqs_[SegmentId(std::string(fact.data.at("segment").as_string()))] = seq;
            ++seq;
        }
    }
    void shed() {
        if (facts_.size() <= kMediaFactsKeptMax) return;
        config::log_error("facts are lost: the outbox has not taken any for too long",
                          {{"lost", std::to_string(facts_.size() - kMediaFactsKeptMax)}});
        facts_.erase(facts_.begin(), facts_.end() - static_cast<std::ptrdiff_t>(kMediaFactsKeptMax));
    }
    // Its segment file stays until the archive has it: lost from here, the next start hands it out again.
    void keep(journal::SealedSegment segment) {
        config::log_info("sealed a segment",
                         {{"segment", segment.file.segment.text()}, {"bytes", std::to_string(segment.file.bytes)}});
        keep_facts(std::move(segment.facts));
        sealed_.push_back(std::move(segment.file));
        keep_files();
    }
    void keep_files() {
        // The archive takes another file of a segment only once it knows why: its fact goes first.
        if (!replaced_.empty()) {
            const auto first = courier_->first_pending();
            std::erase_if(replaced_, [&](journal::ArchiveFile& file) {
                const auto seq = erased_seqs_.find(file.segment);
                if (!first || seq == erased_seqs_.end()) return false;
                if (*first != 0 && *first <= seq->second) return false;
                erased_seqs_.erase(seq);
                sealed_.push_back(std::move(file));
                return true;
            });
        }
        while (!sealed_.empty() && !is_outbox_failing_) {
            const journal::ArchiveFile& file = sealed_.front();
            const auto added =
                courier_->add_file({file.segment.text(), file.path, file.sha256, file.bytes, file.media_type});
            if (!added) {
                is_outbox_failing_ = true;
                config::log_error("the outbox does not take files", {{"why", added.error().what}});
                return;
            }
            sealed_.pop_front();
        }
    }

    // Once a second: switches that are gone are let go of, what failed is tried again, what was lost is said.
    void look() {
        carry_out(control_->tick(net::now()));
        node_->pump();
        is_outbox_failing_ = false;
        keep_facts({});
        keep_files();
        const auto journal = writer_->counters();
        if (journal.packets_overflow != overflow_told_) {
            config::log_error("recordings lose packets: the journal's buffer is full",
                              {{"lost", std::to_string(journal.packets_overflow - overflow_told_)}});
            overflow_told_ = journal.packets_overflow;
        }
        if (const auto turned = node_->take_turned(); turned.refused + turned.dropped > 0) {
            config::log_warn("more messages than their senders' shares", {{"refused", std::to_string(turned.refused)},
                                                                          {"dropped", std::to_string(turned.dropped)},
                                                                          {"latest_from", turned.address}});
        }
        timer_.expires_after(kLook);
        timer_.async_wait([this, alive = std::weak_ptr<int>(alive_)](const boost::system::error_code& error) {
            if (!error && !alive.expired()) look();
        });
    }

    void finish_stop() {
        is_outbox_failing_ = false;
        keep_facts({});
        keep_files();
        if (!facts_.empty() || !sealed_.empty()) {
            config::log_error("stopped before the outbox had taken everything: the next start tries again",
                              {{"facts", std::to_string(facts_.size())}, {"files", std::to_string(sealed_.size())}});
        }
        timer_.cancel();
        node_->pump();
        node_->close();
        stopper_.join();
        stopped_();
    }

    boost::asio::io_context& io_;
    config::MediaSettings settings_;
    boost::asio::steady_timer timer_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // watched by what other threads post
    std::unique_ptr<Resources> resources_;
    std::unique_ptr<delivery::Courier> courier_;
    std::unique_ptr<journal::JournalFiles> files_;
    std::unique_ptr<journal::Sealer> sealer_;
    std::unique_ptr<journal::JournalWriter> writer_;  // hands to the sealer
    std::unique_ptr<Worker> worker_;                  // captures into the writer
    std::unique_ptr<mediactl::MediaControl> control_;
    std::unique_ptr<net::SipNode> node_;
    std::vector<FactDraft> facts_;
    std::deque<journal::ArchiveFile> sealed_;
    std::vector<journal::ArchiveFile> replaced_;      // wait until the archive knows that they replace others
    std::map<SegmentId, std::uint64_t> erased_seqs_;  // of the facts that tell it
    bool is_outbox_failing_ = false;
    std::uint64_t overflow_told_ = 0;
    std::function<void()> stopped_;
    std::thread stopper_;
};

}  // namespace

Result<std::unique_ptr<MediaRole>> MediaRole::start(boost::asio::io_context& io, config::MediaSettings settings) {
    auto role = std::make_unique<Role>(io, std::move(settings));
    TRY_VOID(role->start());
    return role;
}

}  // namespace sheaf::apps
