// SPDX-License-Identifier: Apache-2.0
#include "sip/uri.h"

#include <doctest/doctest.h>

#include "sip/endpoint.h"

namespace sheaf::sip {
namespace {

Uri uri(std::string_view text) {
    return uri_from_text(text).value();
}
bool refuses(std::string_view text) {
    const auto parsed = uri_from_text(text);
    return !parsed && parsed.error().code == Errc::malformed;
}

TEST_CASE("a SIP URI comes apart into its parts and together again") {
    const auto a = uri("SIPS:alice:pa%20ss@Example.COM:5061;transport=tcp;lr?Subject=hi&To=x");
    CHECK(a.scheme == "sips");
    CHECK(a.user == "alice");
    CHECK(a.password == "pa ss");
    CHECK(a.host == "example.com");
    CHECK(a.port == 5061);
    CHECK(a.params.value("Transport") == "tcp");
    CHECK(a.params.has("LR"));
    CHECK_FALSE(a.params.value("lr"));
    CHECK(a.headers == "Subject=hi&To=x");
    CHECK(to_text(a) == "sips:alice:pa%20ss@example.com:5061;transport=tcp;lr?Subject=hi&To=x");
    CHECK(uri(to_text(a)) == a);
    CHECK(to_text(uri("sip:london")) == "sip:london");
}

TEST_CASE("escapes are undone once and written where they are needed") {
    CHECK(uri("sip:%75se%72@h").user == "user");
    CHECK(uri("sip:a%2541@h").user == "a%41");
    CHECK(to_text(uri("sip:a%2541@h")) == "sip:a%2541@h");
    CHECK(uri("sip:sips%3Au%40x@h").user == "sips:u@x");
    CHECK(to_text(uri("sip:sips%3au%40x@h")) == "sip:sips%3Au%40x@h");
    CHECK(uri("sip:%00@h").user == std::string(1, '\0'));
    CHECK(to_text(uri("sip:%00%00@h")) == "sip:%00%00@h");
    CHECK(uri("sip:h;%6C%72;a%3Bb=c%3Dd").params.items[0].first == "lr");
    CHECK(to_text(uri("sip:h;a%3Bb=c%3Dd")) == "sip:h;a%3Bb=c%3Dd");
    // Phones send these raw; they leave escaped.
    CHECK(to_text(uri("sip:*72#@h")) == "sip:*72%23@h");
    CHECK(to_text(uri("sip:j\xc3\xbcrg@h")) == "sip:j%C3%BCrg@h");
    for (const std::string_view broken : {"sip:%@h", "sip:%4@h", "sip:%4g@h", "sip:%zz@h", "sip:h;a=%"}) {
        CHECK_MESSAGE(refuses(broken), broken);
    }
}

TEST_CASE("the user part may look like parameters, and IPv6 hosts stand in brackets") {
    const auto a = uri("sip:bob;day=tuesday?x,y/z&w=1@h;p=1");
    CHECK(a.user == "bob;day=tuesday?x,y/z&w=1");
    CHECK(a.params.items.size() == 1);
    const auto six = uri("sip:a@[2001:DB8::1]:5070;maddr=[::1]");
    CHECK(six.host == "2001:db8::1");
    CHECK(six.port == 5070);
    CHECK(to_text(six) == "sip:a@[2001:db8::1]:5070;maddr=[::1]");
    for (const std::string_view broken :
         {"sip:[::1", "sip:::1", "sip:[1.2.3.4]", "sip:[::1]x", "sip:[::g]", "sip:[]"}) {
        CHECK_MESSAGE(refuses(broken), broken);
    }
}

TEST_CASE("broken URIs are refused") {
    for (const std::string_view broken :
         {"",          "sip:",      "sip",      ":x",      "1sip:x",      "sip:@h",     "sip:a@",
          "sip:a b@h", "sip:a@b@c", "sip:h:",   "sip:h:0", "sip:h:65536", "sip:h:-1",   "sip:h:5060x",
          "sip:h;",    "sip:h;;a",  "sip:h;=1", "sip:h?",  "sip:h ",      " sip:h",     "sip:h;a b",
          "sip:<h>",   "sip:h\r\n", "tel:",     "tel:1 2", "tel:<1>",     "sip:a@h\x01"}) {
        CHECK_MESSAGE(refuses(broken), broken);
    }
}

TEST_CASE("another scheme is kept whole") {
    const auto tel = uri("TEL:+44-20;phone-context=x");
    CHECK(tel.scheme == "tel");
    CHECK(tel.opaque == "+44-20;phone-context=x");
    CHECK(tel.host.empty());
    CHECK(to_text(tel) == "tel:+44-20;phone-context=x");
    CHECK(uri("soap.beep://192.0.2.1:80").scheme == "soap.beep");
    CHECK_FALSE(equivalent(tel, uri("tel:+44-21")));
}

TEST_CASE("URIs are equivalent as RFC 3261 §19.1.4 says") {
    const auto same = [](std::string_view a, std::string_view b) {
        return equivalent(uri(a), uri(b)) && equivalent(uri(b), uri(a));
    };
    CHECK(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
    CHECK(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
    CHECK(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
    CHECK(same("sip:h;a=1;a=2", "sip:h;a=1;a=3"));
    CHECK(same("sip:h;a=1;b=2?x=1&y=2", "sip:h;b=2;a=1?Y=2&x=%31"));
    CHECK_FALSE(same("SIP:ALICE@h", "sip:alice@h"));
    CHECK_FALSE(same("sip:bob@h", "sip:bob@h:5060"));
    CHECK_FALSE(same("sip:bob@h", "sips:bob@h"));
    CHECK_FALSE(same("sip:bob@h", "sip:bob@h;transport=udp"));
    CHECK_FALSE(same("sip:bob@h;user=phone", "sip:bob@h"));
    CHECK_FALSE(same("sip:bob@h;maddr=1.2.3.4", "sip:bob@h"));
    CHECK_FALSE(same("sip:h;newparam=5", "sip:h;newparam=6"));
    CHECK_FALSE(same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next"));
    CHECK_FALSE(same("sip:a:x@h", "sip:a:y@h"));
}

TEST_CASE("a name-addr's own parameters are not the URI's") {
    const auto bracketed = name_addr_from_text(R"( "A \"B\" \\" <sip:a@h;x=1>;tag=t ; q = 0.5)").value();
    CHECK(bracketed.display == R"(A "B" \)");
    CHECK(bracketed.uri.params.value("x") == "1");
    CHECK(bracketed.params.value("tag") == "t");
    CHECK(bracketed.params.value("q") == "0.5");
    CHECK(name_addr_from_text(to_text(bracketed)).value() == bracketed);
    const auto bare = name_addr_from_text("sip:a@h;tag=t").value();
    CHECK(bare.uri.params.items.empty());
    CHECK(bare.params.value("tag") == "t");
    CHECK(to_text(bare) == "<sip:a@h>;tag=t");
    CHECK(name_addr_from_text("caller<sip:a@h>").value().display == "caller");
    CHECK(name_addr_from_text("two words  <sip:a@h>").value().display == "two words");
    CHECK(name_addr_from_text("Bell, Alexander <sip:a@h>").value().display == "Bell, Alexander");
    CHECK(name_addr_from_text("<sip:a@h,b;c?d>").error().code == Errc::malformed);
    CHECK(name_addr_from_text("< sip:a@h >").value().uri == uri("sip:a@h"));
    CHECK(name_addr_from_text(R"("" <sip:h>)").value().display.empty());
    const auto quoted_value = name_addr_from_text(R"(<sip:h>;x="<a;b>,\"c";lr)").value();
    CHECK(quoted_value.params.value("x") == R"(<a;b>,"c)");
    CHECK(name_addr_from_text(to_text(quoted_value)).value() == quoted_value);
    CHECK(name_addr_from_text(R"(sip:a@h;x="<y>")").value().params.value("x") == "<y>");
}

TEST_CASE("broken name-addrs are refused") {
    for (const std::string_view broken :
         {"", "<>", "x\ry <sip:h>", "\"x\ny\" <sip:h>", "\"x\\\ry\" <sip:h>", "<sip:h", "\"x <sip:h>", "\"x\" sip:h",
          "sip:h?a=b", "sip:a,b@h", "<sip:h>;", "<sip:h>;;a", "<sip:h>;a=", "<sip:h> x", "<sip:h>;a=\"b",
          "<sip:h>;a=b c", "<sip:h>, <sip:i>", "sip:u;x@h", "<sip:h>;a=\"b\"c"}) {
        CHECK_MESSAGE(!name_addr_from_text(broken), broken);
    }
}

TEST_CASE("a display name cannot break out of its header") {
    const NameAddr evil{"x\r\nVia: y\"", uri("sip:a%0D%0Ab@h"), {}};
    const auto text = to_text(evil);
    CHECK(text.find_first_of("\r\n") == std::string::npos);
    CHECK(text == R"("x  Via: y\"" <sip:a%0D%0Ab@h>)");
}

TEST_CASE("an endpoint is a transport, a literal address and a port") {
    const auto four = endpoint_from_text("UDP:127.0.0.1:5060").value();
    CHECK(four == Endpoint{Transport::udp, "127.0.0.1", 5060});
    CHECK(to_text(four) == "udp:127.0.0.1:5060");
    const auto six = endpoint_from_text("tcp:[2001:DB8::1]:0").value();
    CHECK(six == Endpoint{Transport::tcp, "2001:db8::1", 0});
    CHECK(to_text(six) == "tcp:[2001:db8::1]:0");
    for (const std::string_view broken :
         {"", "udp", "udp:1.2.3.4", "tls:1.2.3.4:5", "udp:host:5", "udp:::1:5", "udp:1.2.3.4:65536",
          "udp:1.2.3.4:", "udp:1.2.3.4:-1", "udp:1.2.3.256:5", "udp:[1.2.3.4]:5", "1.2.3.4:5"}) {
        CHECK_MESSAGE(!endpoint_from_text(broken), broken);
    }
}

TEST_CASE("IP literals and loopback addresses are told from names") {
    for (const std::string_view literal : {"1.2.3.4", "::", "::1", "fe80::1", "::ffff:1.2.3.4"}) {
        CHECK_MESSAGE(is_ip_literal(literal), literal);
    }
    for (const std::string_view name : {"", "host", "1.2.3", "[::1]", "1.2.3.4.5", ":::", "1.2.3.4 "}) {
        CHECK_MESSAGE(!is_ip_literal(name), name);
    }
    CHECK_FALSE(is_ip_literal(std::string_view("1.2.3.4\0", 8)));
    for (const std::string_view here : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}) CHECK(is_loopback(here));
    for (const std::string_view there : {"128.0.0.1", "::2", "localhost", "::ffff:128.0.0.1"})
        CHECK(!is_loopback(there));
}

TEST_CASE("a URI's headers are taken apart, and what is put into one is escaped") {
    const auto uri = uri_from_text(
        "sip:bob@biloxi.com?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994&SUBJECT=a%20b&x");
    REQUIRE(uri);
    const std::vector<std::pair<std::string, std::string>> wanted{
        {"replaces", "12345@192.168.118.3;to-tag=12345;from-tag=5FFE-3994"}, {"subject", "a b"}, {"x", ""}};
    CHECK(headers_of(*uri) == wanted);
    CHECK(escaped_header("12345@192.168.118.3;to-tag=1&2%") == "12345%40192.168.118.3%3Bto-tag%3D1%262%25");
    CHECK(headers_of(Uri{}).empty());
}

}  // namespace
}  // namespace sheaf::sip
