// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <charconv>

namespace sheaf {
namespace {

// Reads exactly `digits` decimal digits at `position`; -1 when they are not there.
int digits_at(std::string_view text, std::size_t position, std::size_t digits) {
    if (position + digits > text.size()) return -1;
    int value = 0;
    for (char c : text.substr(position, digits)) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

// The last `digits` decimal digits of a number that is not negative.
void put_digits(std::string& text, std::size_t position, std::size_t digits, std::int64_t number) {
    for (std::size_t i = position + digits; i > position; number /= 10)
        text[--i] = static_cast<char>('0' + number % 10);
}

// The zone at the end of an RFC 3339 date-time, in minutes east of UTC.
Result<int> zone_minutes(std::string_view zone) {
    if (zone == "Z" || zone == "z") return 0;
    const int hours = digits_at(zone, 1, 2);
    const int minutes = digits_at(zone, 4, 2);
    const bool shaped = zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':';
    if (!shaped || hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return fail(Errc::malformed, "time zone is neither Z nor +hh:mm");
    }
    return (zone[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

}  // namespace

std::string to_rfc3339(WallTime t) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{t - day};
    std::string text = "0000-00-00T00:00:00.000Z";
    put_digits(text, 0, 4, static_cast<int>(date.year()));
    put_digits(text, 5, 2, static_cast<unsigned>(date.month()));
    put_digits(text, 8, 2, static_cast<unsigned>(date.day()));
    put_digits(text, 11, 2, clock.hours().count());
    put_digits(text, 14, 2, clock.minutes().count());
    put_digits(text, 17, 2, clock.seconds().count());
    put_digits(text, 20, 3, clock.subseconds().count());
    return text;
}

Result<WallTime> wall_from_rfc3339(std::string_view text) {
    const int year = digits_at(text, 0, 4);
    const int month = digits_at(text, 5, 2);
    const int day = digits_at(text, 8, 2);
    const int hour = digits_at(text, 11, 2);
    const int minute = digits_at(text, 14, 2);
    const int second = digits_at(text, 17, 2);
    const bool shaped = text.size() >= 20 && text[4] == '-' && text[7] == '-' &&
                        (text[10] == 'T' || text[10] == 't' || text[10] == ' ') && text[13] == ':' && text[16] == ':';
    if (!shaped || year < 0 || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60) {
        return fail(Errc::malformed, "not an RFC 3339 date-time");
    }
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) return fail(Errc::malformed, "no such day");
    std::size_t at = 19;
    int ms = 0;
    if (text[at] == '.') {
        int weight = 100;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, weight /= 10) {
            ms += (text[at] - '0') * weight;
        }
    }
    TRY(const int zone, zone_minutes(text.substr(at)));
    return WallTime{std::chrono::sys_days{date}.time_since_epoch() + std::chrono::hours{hour} +
                    std::chrono::minutes{minute - zone} + std::chrono::seconds{second} + std::chrono::milliseconds{ms}};
}

}  // namespace sheaf
