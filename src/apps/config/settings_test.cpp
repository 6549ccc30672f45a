// SPDX-License-Identifier: Apache-2.0
#include "apps/config/settings.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "apps/config/role_readers.h"
#include "apps/config/tree.h"

namespace sheaf::config {
namespace {

namespace fs = std::filesystem;

const std::string kNode = "[node]\nsite=\"london\"\nname=\"london-1\"\ndata=\"/tmp/d\"\n";
const std::string kSwitch = kNode + "[switch]\nlisten=[\"udp:127.0.0.1:5060\"]\n";
const std::string kAgent = "[[switch.agent]]\ndn=\"1001\"\npassword=\"p\"\n";
const std::string kArchive = kNode + "[archive]\nhttp=\"127.0.0.1:0\"\nauth=\"none\"\n";
const std::string kMedia = kNode + "[media]\nsip=[\"udp:127.0.0.1:5070\"]\nrtp=\"127.0.0.1:20000-29999\"\n";

// The problems of a text, as one string; empty: none.
std::string problems(const std::string& text) {
    const auto settings = settings_from_text(text, "f.toml");
    return settings ? std::string() : settings.error().what;
}

TEST_CASE("a file with every key gives every setting") {
    ::setenv("SHEAF_TEST_SECRET", "from the environment", 1);
    const std::string text = kNode + R"(tenant="acme"
[switch]
listen=["udp:127.0.0.1:5060", "tcp:[::1]:0"]
advertise="london.example:5060"
media=["sip:127.0.0.1:5070"]
dns=["127.0.0.1", "[::1]:5353"]
archive="http://127.0.0.1:8080/"
archive_token="env:SHEAF_TEST_SECRET"
cti="[::1]:8090"
cti_auth="none"
record_consult=true
record_hold=true
leave_conference=true
ready_on_register=false
wrap_up_ms=5000
ring_timeout_ms=15000
session_ms=600000
session_min_ms=120000
options_ms=15000
nat=false
direct_media=false
ladder_bytes=0
no_answer_state="ready"
ready_code="*11"
not_ready_code="*12"
wrap_up_done_code="*13"
[switch.limits]
stranger_calls=1
strangers_calls=2
stranger_messages=3
strangers_messages=4
caller_messages=5
peer_messages=6
[[switch.trunk]]
name="carrier"
addresses=["sip:127.0.0.9:5060", "sip:sbc.example;transport=tcp"]
refer=false
calls_max=30
trusted=false
record="always"
user="u"
password="p"
register=true
consent=["say:recorded"]
consent_to="both"
consent_tone_ms=15000
consent_required=true
[[switch.site]]
name="paris"
address="sip:127.0.0.2:5060"
http="http://127.0.0.2:8090"
secret="paris and london"
prefix="2"
return_transfers=true
record_duplicate=true
[[switch.token]]
name="desktop"
secret="desktop secret"
devices=["1001"]
[[switch.routing_point]]
dn="8000"
numbers=["+442071234567"]
treatment=["say:welcome","music:default"]
targets=["agent:1001","agent:1001@london","agent:2001@paris"]
record="25%"
consent=["say:recorded"]
consent_to="agent"
consent_tone_ms=0
consent_required=false
queue_max=50
overflow="trunk:+33142345678@carrier"
overflow_after_ms=60000
position_ms=30000
menu=["say:menu"]
menu_invalid=["say:invalid"]
menu_choices=["1=queue","2=agent:1001","*=routing_point:3800@paris"]
menu_otherwise="routing_point:8000"
menu_timeout_ms=4000
menu_repeats=1
[[switch.agent]]
dn="1001"
name="Ada"
password="p"
record="on-demand"
auto_answer=true
consent=[]
consent_to="customer"
consent_tone_ms=10000
consent_required=false
[[switch.route]]
match="^9(.*)$"
to="trunk:carrier"
number="+$1"
[[switch.number]]
trunk="carrier"
of="calling-in"
match="^0([1-9].*)$"
number="+44$1"
[media]
sip=["udp:127.0.0.1:5070"]
advertise="10.0.0.1"
rtp="127.0.0.1:20000-29999"
archive="http://127.0.0.1:8080"
archive_token="t"
format="flac"
allow=["192.0.2.1"]
keep_ms=0
rtp_silence_ms=0
prompts="/tmp"
[archive]
http="127.0.0.1:8080"
auth="token"
database="sqlite"
objects="files"
settle_ms=1000
[[archive.token]]
name="london"
secret="london secret"
scope="site"
tenant="acme"
site="london"
nodes=["london-1"]
[[archive.token]]
name="ops"
secret="ops secret"
scope="admin"
)";
    const auto settings = settings_from_text(text, "f.toml");
    if (!settings) FAIL(settings.error().what);
    const auto& exchange = *settings->exchange;
    CHECK(settings->node.tenant == "acme");
    CHECK(exchange.node.name == "london-1");
    CHECK(exchange.listen.size() == 2);
    CHECK(exchange.advertise == "london.example:5060");
    CHECK(exchange.media == std::vector<std::string>{"sip:127.0.0.1:5070"});
    CHECK(exchange.dns == std::vector<std::string>{"127.0.0.1", "[::1]:5353"});
    CHECK(exchange.archive.url == "http://127.0.0.1:8080");
    CHECK(exchange.archive.token == "from the environment");
    CHECK(exchange.cti.address == "::1");
    CHECK(exchange.cti.port == 8090);
    CHECK(exchange.cti_without_token);
    CHECK((exchange.record_consult && exchange.record_hold && exchange.leave_conference));
    CHECK_FALSE(exchange.ready_on_register);
    CHECK(exchange.wrap_up_ms == 5000);
    CHECK(exchange.ring_timeout_ms == 15000);
    CHECK((exchange.session_ms == 600'000 && exchange.session_min_ms == 120'000));
    CHECK_FALSE(exchange.direct_media);
    CHECK(exchange.ready_after_no_answer);
    CHECK(exchange.ready_code + exchange.not_ready_code + exchange.wrap_up_done_code == "*11*12*13");
    const auto& point = exchange.routing_points.at(0);
    CHECK(point.consent.announcement == std::vector<std::string>{"say:recorded"});
    CHECK(point.consent.to == ConsentTo::agent);
    CHECK(point.queue_max == 50);
    CHECK(point.overflow == "trunk:+33142345678@carrier");
    CHECK((point.overflow_after_ms == 60000 && point.position_ms == 30000));
    CHECK(point.menu.announcement == std::vector<std::string>{"say:menu"});
    CHECK(point.menu.invalid == std::vector<std::string>{"say:invalid"});
    CHECK(point.menu.choices.at(2) == std::pair<std::string, std::string>{"*", "routing_point:3800@paris"});
    CHECK(point.menu.otherwise == "routing_point:8000");
    CHECK((point.menu.timeout_ms == 4000 && point.menu.repeats == 1));
    CHECK(exchange.agents.at(0).consent.tone_ms == 10000);
    const auto& trunk = exchange.trunks.at(0);
    CHECK(trunk.consent.to == ConsentTo::both);
    CHECK(trunk.consent.required);
    CHECK(trunk.consent.tone_ms == 15000);
    CHECK(trunk.addresses.size() == 2);
    CHECK_FALSE(trunk.refer);
    CHECK(trunk.record == RecordRule{RecordWhen::always, 0});
    CHECK(trunk.user + trunk.password == "up");
    CHECK(trunk.registers);
    CHECK(exchange.options_ms == 15000);
    CHECK((exchange.limits.stranger_calls == 1 && exchange.limits.strangers_calls == 2));
    CHECK((exchange.limits.stranger_messages == 3 && exchange.limits.strangers_messages == 4));
    CHECK((exchange.limits.caller_messages == 5 && exchange.limits.peer_messages == 6));
    CHECK((trunk.calls_max == 30 && !trunk.trusted));
    CHECK_FALSE(exchange.nat);
    CHECK(exchange.ladder_bytes == 0);
    const auto& site = exchange.sites.at(0);
    CHECK(site.name + site.address + site.http + site.prefix == "parissip:127.0.0.2:5060http://127.0.0.2:80902");
    CHECK(site.secret == "paris and london");
    CHECK((site.return_transfers && site.record_duplicate));
    CHECK(exchange.tokens.at(0).devices == std::vector<std::string>{"1001"});
    CHECK(exchange.agents.at(0).record == RecordRule{RecordWhen::on_demand, 0});
    CHECK(exchange.agents.at(0).name == "Ada");
    CHECK(exchange.agents.at(0).auto_answer);
    CHECK(exchange.routing_points.at(0).record == RecordRule{RecordWhen::percent, 25});
    CHECK(exchange.routing_points.at(0).numbers == std::vector<std::string>{"+442071234567"});
    CHECK(exchange.routing_points.at(0).treatment.size() == 2);
    CHECK(exchange.routing_points.at(0).targets.size() == 3);
    CHECK(exchange.routes.at(0).to == "trunk:carrier");
    CHECK(exchange.routes.at(0).number == "+$1");
    REQUIRE(exchange.numbers.size() == 1);
    const auto& rule = exchange.numbers.front();
    CHECK((rule.trunk == "carrier" && rule.of == "calling-in"));
    CHECK((rule.match == "^0([1-9].*)$" && rule.number == "+44$1"));
    const auto& media = *settings->media;
    CHECK(media.rtp_address == "127.0.0.1");
    CHECK(media.rtp_port_first == 20000);
    CHECK(media.rtp_port_last == 29999);
    CHECK(media.format == ArchiveFormat::flac);
    CHECK(media.prompts == "/tmp");
    CHECK(media.allow == std::vector<std::string>{"192.0.2.1"});
    CHECK(media.keep_ms == 0);
    CHECK(media.rtp_silence_ms == 0);
    CHECK(media.advertise == "10.0.0.1");
    const auto& archive = *settings->archive;
    CHECK(archive.port == 8080);
    CHECK(archive.data == "/tmp/d/archive");
    CHECK(archive.settle_ms == 1000);
    CHECK(archive.tokens.at(0).scope == TokenScope::site);
    CHECK(archive.tokens.at(0).nodes == std::vector<std::string>{"london-1"});
    CHECK(archive.tokens.at(1).scope == TokenScope::admin);
    CHECK(archive.tokens.at(1).tenant == "acme");
}

TEST_CASE("what a file leaves out has the documented default") {
    const auto exchange = settings_from_text(kSwitch + kAgent, "f.toml")->exchange.value();
    CHECK(exchange.archive.url.empty());
    CHECK(exchange.cti.address.empty());
    CHECK_FALSE(exchange.cti_without_token);
    CHECK(exchange.ready_on_register);
    CHECK(exchange.agents.size() == 1);
    CHECK((exchange.trunks.empty() && exchange.sites.empty() && exchange.tokens.empty()));
    CHECK((exchange.routing_points.empty() && exchange.routes.empty()));
    CHECK(exchange.agents[0].name == "1001");
    CHECK(exchange.agents[0].record == RecordRule{});
    CHECK(settings_from_text(kMedia, "f.toml")->media->format == ArchiveFormat::wav);
    CHECK(settings_from_text(kArchive, "f.toml")->archive->settle_ms == 3'600'000);
    CHECK(settings_from_text(kArchive, "f.toml")->archive->auth_none);
    CHECK(settings_from_text(kArchive, "f.toml")->archive->tokens.empty());
    CHECK_FALSE(settings_from_text(kArchive, "f.toml")->exchange.has_value());
}

TEST_CASE("a problem names file, line and key, and all problems come at once") {
    CHECK(problems(kSwitch + "records=true\n" + kAgent + "dm=1\n") ==
          "f.toml:7: switch.records: unknown key\nf.toml:11: switch.agent.dm: unknown key");
    CHECK(problems(kSwitch + "[[switch.agent]]\ndn=\"1\"\npassword=5\n") ==
          "f.toml:9: switch.agent.password: must be a string");
    CHECK(problems(kSwitch + "[swich]\n") == "f.toml:7: swich: unknown key");
    CHECK(problems(kNode + "[switch]\n") == "f.toml:5: switch.listen: is missing");
    CHECK(problems(kSwitch + "wrap_up_ms=\n").starts_with("f.toml:7: "));
    CHECK(problems(kSwitch + kAgent + kAgent) == "f.toml:11: switch.agent.dn: \"1001\" is there twice");
    CHECK(problems("") == "f.toml:1: node: is missing");
    CHECK(problems(kNode) == "f.toml:1: node: the file names no role: [switch], [media] or [archive]");
    CHECK(problems(std::string(kFileBytesMax + 1, '#')) == "f.toml: the file is too large");
    CHECK(settings_from_file("/nowhere/f.toml").error().what == "/nowhere/f.toml: cannot be read");
}

struct Wrong {
    std::string text;
    std::string problem;
};

TEST_CASE("values that cannot be right are refused with the key's name") {
    std::string seventeen;
    for (int i = 0; i < 17; ++i) seventeen += "\"sip:127.0.0." + std::to_string(i) + "\",";
    const std::string trunk = kSwitch + "[[switch.trunk]]\nname=\"c\"\naddresses=[\"sip:127.0.0.9\"]\n";
    const std::string site =
        kSwitch + "[[switch.site]]\nname=\"paris\"\naddress=\"sip:127.0.0.2\"\nsecret=\"long enough\"\n";
    const std::string point = kSwitch + kAgent + "[[switch.routing_point]]\ndn=\"8000\"\n";
    const std::string route = kSwitch + kAgent + "[[switch.route]]\n";
    const std::string token = kNode + "[archive]\nhttp=\"127.0.0.1:0\"\n[[archive.token]]\nname=\"t\"\n";
    const std::vector<Wrong> wrong = {
        {"[node]\nsite=\"lon don\"\nname=\"n\"\ndata=\"/tmp\"\n[archive]\nhttp=\"127.0.0.1:0\"\nauth=\"none\"\n",
         "node.site"},
        {kNode + "[switch]\nlisten=[\"udp:localhost:5060\"]\n", "switch.listen"},
        {kNode + "[switch]\nlisten=[\"tls:127.0.0.1:5061\"]\n", "not built yet"},
        {kNode + "[switch]\nlisten=[\"udp:127.0.0.1:99999\"]\n", "switch.listen"},
        {kNode + "[switch]\nlisten=[\"udp:::1:5060\"]\n", "switch.listen"},
        {kNode + "[switch]\nlisten=[\"udp:127.0.0.1:5060\",\"udp:127.0.0.1:5060\"]\n", "there twice"},
        {kNode + "[switch]\nlisten=[5060]\n", "must be a list of strings"},
        {kSwitch + "media=[\"127.0.0.1\"]\n", "switch.media"},
        {kSwitch + "dns=[\"dns.example\"]\n", "switch.dns: \"dns.example\" must be ADDRESS or ADDRESS:PORT"},
        {kSwitch + "dns=[\"127.0.0.1:0\"]\n", "switch.dns"},
        {kSwitch + "dns=[\"127.0.0.1:\"]\n", "switch.dns"},
        {kSwitch + "dns=[\"::1\"]\n", "switch.dns"},
        {kSwitch + "dns=[\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\",\"1.1.1.5\"]\n",
         "switch.dns: there are more than 4"},
        {kSwitch + "advertise=\"a b\"\n", "switch.advertise"},
        {kSwitch + "archive=\"https://a\"\n", "https is not built yet"},
        {kSwitch + "archive=\"http://a/path\"\n", "switch.archive"},
        {kSwitch + "archive_token=\"env:SHEAF_TEST_NOT_SET\"\n", "switch.archive_token: the environment variable"},
        {kSwitch + "archive_token=\"file:/nowhere\"\n", "switch.archive_token: /nowhere"},
        {kSwitch + "cti=\"8090\"\n", "switch.cti"},
        {kSwitch + "cti=\"0.0.0.0:8090\"\ncti_auth=\"none\"\n", "only for loopback"},
        {kSwitch + "cti_auth=\"maybe\"\n", "switch.cti_auth: must be one of"},
        {kSwitch + "record_hold=\"yes\"\n", "switch.record_hold: must be true or false"},
        {kSwitch + "wrap_up_ms=-1\n", "switch.wrap_up_ms"},
        {kSwitch + "wrap_up_ms=3600001\n", "switch.wrap_up_ms"},
        {kSwitch + "wrap_up_ms=1.5\n", "switch.wrap_up_ms"},
        {kSwitch + "ring_timeout_ms=500\n", "switch.ring_timeout_ms"},
        {kSwitch + "session_ms=60000\n", "switch.session_ms"},
        {kSwitch + "session_ms=100000\nsession_min_ms=120000\n", "switch.session_ms"},
        {kSwitch + "no_answer_state=\"busy\"\n", "switch.no_answer_state: must be one of"},
        {kSwitch + "ready_code=\"a b\"\n", "switch.ready_code"},
        {kSwitch + "ready_code=\"1\"\nnot_ready_code=\"1\"\n", "\"1\" is there twice"},
        {kMedia + "allow=[\"switch.example\"]\n", "media.allow"},
        {kMedia + "keep_ms=-1\n", "media.keep_ms"},
        {kMedia + "rtp_silence_ms=4999\n", "media.rtp_silence_ms: must be 0 or at least 5000"},
        {kSwitch + "agent=5\n", "must be written [[switch.agent]]"},
        {kSwitch + "agent=[5]\n", "must be written [[switch.agent]]"},
        {"switch=1\n" + kArchive, "must be written [switch]"},
        {trunk + "register=true\n", "switch.trunk.register: needs user and password"},
        {kSwitch + "ladder_bytes=-1\n", "switch.ladder_bytes"},
        {kSwitch + "[switch.limits]\nstranger_calls=0\n", "switch.limits.stranger_calls"},
        {kSwitch + "[switch.limits]\ncalls=1\n", "switch.limits.calls: unknown key"},
        {trunk + "calls_max=-1\n", "switch.trunk.calls_max"},
        {trunk + "[[switch.number]]\ntrunk=\"d\"\nof=\"called-in\"\nmatch=\"1\"\nnumber=\"2\"\n",
         "switch.number.trunk"},
        {trunk + "[[switch.number]]\ntrunk=\"c\"\nof=\"in\"\nmatch=\"1\"\nnumber=\"2\"\n", "switch.number.of"},
        {trunk + "[[switch.number]]\ntrunk=\"c\"\nmatch=\"1\"\nnumber=\"2\"\n", "switch.number.of"},
        {trunk + "[[switch.number]]\ntrunk=\"c\"\nof=\"called-in\"\nmatch=\"(\"\nnumber=\"2\"\n",
         "switch.number.match"},
        {trunk + "[[switch.number]]\ntrunk=\"c\"\nof=\"called-in\"\nmatch=\"1\"\nnumber=\"$1\"\n",
         "switch.number.number"},
        {kSwitch + "options_ms=999\n", "switch.options_ms: must be 0 or at least 1000"},
        {trunk + "record=\"sometimes\"\n", "switch.trunk.record"},
        {trunk + "record=\"101%\"\n", "switch.trunk.record"},
        {trunk + "user=\"u\"\n", "go together"},
        {kSwitch + "[[switch.trunk]]\nname=\"c\"\naddresses=[]\n", "switch.trunk.addresses"},
        {kSwitch + "[[switch.trunk]]\nname=\"c\"\naddresses=[" + seventeen + "]\n",
         "switch.trunk.addresses: there are more than 16"},
        {kSwitch + "[[switch.trunk]]\nname=\"c\"\naddresses=[\"sips:127.0.0.9\"]\n", "switch.trunk.addresses"},
        {trunk + "[[switch.trunk]]\nname=\"c\"\naddresses=[\"sip:127.0.0.9\"]\n", "\"c\" is there twice"},
        {kSwitch + "[[switch.site]]\nname=\"london\"\naddress=\"sip:a\"\nsecret=\"long enough\"\n", "this site's own"},
        {kSwitch + "[[switch.site]]\nname=\"paris\"\naddress=\"sip:a\"\nsecret=\"\"\n", "switch.site.secret"},
        {kSwitch + "[[switch.site]]\nname=\"paris\"\naddress=\"sip:a\"\n", "switch.site.secret: is missing"},
        {site + "http=\"ftp://a\"\n", "switch.site.http"},
        {kSwitch + "[[switch.token]]\nname=\"t\"\nsecret=\"long enough\"\n", "switch.token.devices"},
        {kSwitch + "[[switch.agent]]\ndn=\"1001\"\n", "switch.agent.password: is missing"},
        {kSwitch + "[[switch.agent]]\ndn=\"10 01\"\npassword=\"p\"\n", "switch.agent.dn"},
        {kSwitch + "[[switch.agent]]\ndn=\"1\\n2\"\npassword=\"p\"\n", "control characters"},
        {point, "switch.routing_point.targets"},
        {point + "targets=[\"agent:1002\"]\n", "there is no [[switch.agent]]"},
        {point + "targets=[\"agent:2001@paris\"]\n", "there is no [[switch.site]]"},
        {point + "targets=[\"agent:1002@london\"]\n", "there is no [[switch.agent]]"},
        {point + "targets=[\"1001\"]\n", "must be agent:DN"},
        {point + "targets=[\"agent:1001\"]\ntreatment=[\"say:../x\"]\n", "switch.routing_point.treatment"},
        {point + "targets=[\"agent:1001\"]\nnumbers=[\"1001\"]\n", "\"1001\" is there twice"},
        {point + "targets=[\"agent:1001\"]\nqueue_max=0\n", "switch.routing_point.queue_max"},
        {point + "targets=[\"agent:1001\"]\noverflow=\"8001\"\n", "must be agent:DN, routing_point:DN"},
        {point + "targets=[\"agent:1001\"]\noverflow=\"routing_point:8001\"\n", "there is no [[switch.routing_point]]"},
        {point + "targets=[\"agent:1001\"]\noverflow=\"routing_point:8000\"\n", "is the routing point itself"},
        {point + "targets=[\"agent:1001\"]\noverflow=\"trunk:+33@none\"\n", "there is no [[switch.trunk]]"},
        {point + "targets=[\"agent:1001\"]\noverflow=\"trunk:+33\"\n", "trunk:NUMBER@NAME"},
        {point + "targets=[\"agent:1001\"]\noverflow=\"agent:2001@paris\"\n", "there is no [[switch.site]]"},
        {point + "targets=[\"agent:1001\"]\noverflow_after_ms=5\n", "there is no overflow to go to"},
        {point + "targets=[\"agent:1001\"]\nposition_ms=5\n", "switch.routing_point.position_ms"},
        {point + "targets=[\"agent:1001\"]\nmenu=[\"say:menu\"]\n", "go together"},
        {point + "targets=[\"agent:1001\"]\nmenu_choices=[\"1=queue\"]\n", "go together"},
        {point + "targets=[\"agent:1001\"]\nmenu=[\"music:menu\"]\nmenu_choices=[\"1=queue\"]\n", "must be say:NAME"},
        {point + "targets=[\"agent:1001\"]\nmenu=[\"say:menu\"]\nmenu_choices=[\"12=queue\"]\n",
         "must be DIGIT=TARGET"},
        {point + "targets=[\"agent:1001\"]\nmenu=[\"say:menu\"]\nmenu_choices=[\"1=queue\",\"1=queue\"]\n",
         "\"1\" is there twice"},
        {point + "targets=[\"agent:1001\"]\nmenu=[\"say:menu\"]\nmenu_choices=[\"1=agent:9\"]\n",
         "there is no [[switch.agent]]"},
        {point + "targets=[\"agent:1001\"]\nconsent=[\"tone:beep\"]\n", "switch.routing_point.consent"},
        {point + "targets=[\"agent:1001\"]\nconsent_tone_ms=999\n", "switch.routing_point.consent_tone_ms"},
        {point + "targets=[\"agent:1001\"]\nconsent_to=\"all\"\n", "switch.routing_point.consent_to"},
        {trunk + "consent_required=true\n", "nothing that could be required"},
        {route + "match=\"(\"\nto=\"agent:1001\"\n", "switch.route.match"},
        {route + "match=\"" + std::string(201, 'a') + "\"\nto=\"agent:1001\"\n", "switch.route.match"},
        {route + "match=\"^9(.*)$\"\nto=\"agent:1001\"\nnumber=\"$2\"\n", "switch.route.number"},
        {route + "match=\"9\"\nto=\"trunk:none\"\n", "there is no [[switch.trunk]] \"none\""},
        {route + "match=\"9\"\nto=\"1001\"\n", "switch.route.to"},
        {kMedia + "format=\"opus\"\n", "media.format: \"opus\" is not built yet"},
        {kMedia + "format=\"aac\"\n", "media.format: must be one of"},
        {kMedia + "prompts=\"/nowhere\"\n", "media.prompts: /nowhere is not a folder"},
        {kNode + "[media]\nsip=[\"udp:127.0.0.1:0\"]\nrtp=\"127.0.0.1:20001-29999\"\n", "media.rtp"},
        {kNode + "[media]\nsip=[\"udp:127.0.0.1:0\"]\nrtp=\"127.0.0.1:20000-20000\"\n", "media.rtp"},
        {kNode + "[media]\nsip=[\"udp:127.0.0.1:0\"]\nrtp=\"127.0.0.1:80-90\"\n", "media.rtp"},
        {kNode + "[media]\nsip=[\"udp:127.0.0.1:0\"]\nrtp=\"20000-29999\"\n", "media.rtp"},
        {kNode + "[archive]\nhttp=\"127.0.0.1:0\"\n", "needs an [[archive.token]]"},
        {kNode + "[archive]\nhttp=\"10.0.0.1:80\"\nauth=\"none\"\n", "only for loopback"},
        {kArchive + "database=\"postgresql://db\"\n", "archive.database: \"postgresql://db\" is not built yet"},
        {kArchive + "objects=\"s3://bucket\"\n", "archive.objects: \"s3://bucket\" is not built yet"},
        {kArchive + "settle_ms=-1\n", "archive.settle_ms"},
        {token + "secret=\"long enough\"\nscope=\"all\"\n", "archive.token.scope"},
        {token + "secret=\"long enough\"\nscope=\"site\"\nnodes=[\"n\"]\n", "archive.token.site"},
        {token + "secret=\"long enough\"\nscope=\"site\"\nsite=\"s\"\n", "archive.token.nodes"},
        {token + "secret=\"long enough\"\nscope=\"read\"\nsite=\"s\"\n", "only for scope site"},
        {token + "secret=\"" + std::string(257, 's') + "\"\nscope=\"read\"\n", "archive.token.secret"},
    };
    for (const auto& [text, problem] : wrong) {
        CAPTURE(text);
        const std::string found = problems(text);
        CHECK_MESSAGE(found.find(problem) != std::string::npos, found);
        CHECK(found.find('\n') == std::string::npos);
    }
    CHECK(problems(trunk).empty());
    CHECK(problems(site).empty());
    CHECK(problems(kMedia).empty());
    CHECK(problems(route + "match=\"^9(.*)$\"\nto=\"agent:1001\"\nnumber=\"+$1\"\n").empty());
}

TEST_CASE("a secret is never in a problem's words") {
    const std::string text = kSwitch +
                             "archive_token=\"hidden\"\n[[switch.site]]\nname=\"p\"\naddress=\"x\"\nsecret=\"hidden\"\n"
                             "[[switch.agent]]\ndn=\"1\"\npassword=\"hidden\\u0001\"\n";
    CHECK(problems(text).find("hidden") == std::string::npos);
    CHECK_FALSE(problems(text).empty());
}

TEST_CASE("a secret's file and a relative path are found beside the settings file") {
    const fs::path folder = fs::temp_directory_path() / ("sheaf-config-" + std::to_string(::getpid()));
    fs::create_directories(folder / "prompts");
    std::ofstream(folder / "token") << "from the file\n";
    std::ofstream(folder / "large") << std::string(5000, 'x');
    std::ofstream(folder / "f.toml")
        << "[node]\nsite=\"s\"\nname=\"n\"\ndata=\"data\"\n[media]\nsip=[\"udp:127.0.0.1:0\"]\n"
           "rtp=\"[::1]:20000-20999\"\narchive_token=\"file:token\"\nprompts=\"prompts\"\n";
    const auto settings = settings_from_file(folder / "f.toml");
    REQUIRE(settings);
    CHECK(settings->media->archive.token == "from the file");
    CHECK(settings->node.data == (folder / "data").string());
    CHECK(settings->media->prompts == (folder / "prompts").string());
    CHECK(settings->media->rtp_address == "::1");
    CHECK(problems(kMedia + "archive_token=\"file:" + (folder / "large").string() + "\"\n").find("too large") !=
          std::string::npos);
    fs::remove_all(folder);
}

TEST_CASE("more entries than the limit are refused") {
    std::string text = kSwitch;
    for (std::size_t i = 0; i <= kEntriesMax; ++i) {
        text += "[[switch.agent]]\ndn=\"" + std::to_string(i) + "\"\npassword=\"p\"\n";
    }
    CHECK(problems(text).find("there are more than 10000") != std::string::npos);
}

TEST_CASE("the documented keys are the accepted ones, and no others") {
    std::ifstream document("docs/operating/configuration.md");
    REQUIRE(document.is_open());
    std::set<std::string> documented;
    std::string section;
    const std::regex heading(R"(## `\[\[?([a-z_.]+)\]\]?`)");
    const std::regex row(R"(\| `([a-z_]+)` \|.*\|.*\|.*\|)");
    for (std::string line; std::getline(document, line);) {
        std::smatch found;
        if (std::regex_match(line, found, heading)) documented.insert(section = found[1]);
        if (std::regex_match(line, found, row)) CHECK(documented.insert(section + "." + found[1].str()).second);
    }
    CHECK(documented == accepted_keys());
    CHECK(documented.size() > 60);
}

}  // namespace
}  // namespace sheaf::config
