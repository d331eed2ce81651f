/* SPDX-License-Identifier: MIT */
#include "unit/resp/examples.h"

#include "resp/resp.h"
#include "strata/status.h"

#define T(text) text, sizeof(text) - 1
#define B(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SAME(text)                                                                                 \
    {                                                                                              \
        T(text), T(text)                                                                           \
    }
#define REPLY(text, down)                                                                          \
    {                                                                                              \
        T(text), T(down)                                                                           \
    }

const struct sta_resp_limits example_limits = {
    .depth = 4,
    .bulk_bytes = 1000,
    .elements = 100,
    .line_bytes = 40,
    .total_bytes = 1200,
};

const struct reply_example reply_examples[] = {
    /* RESP2 */
    SAME("+OK\r\n"),
    SAME("+\r\n"),
    SAME("-ERR unknown command\r\n"),
    SAME("-\r\n"),
    SAME(":0\r\n"),
    SAME(":7\r\n"),
    SAME(":-1\r\n"),
    SAME(":1000\r\n"),
    SAME(":9223372036854775807\r\n"),
    SAME(":-9223372036854775808\r\n"),
    SAME("$5\r\nhello\r\n"),
    SAME("$0\r\n\r\n"),
    SAME("$-1\r\n"),
    SAME("$2\r\n\r\n\r\n"),
    SAME("$4\r\n\0\r\n\0\r\n"),
    SAME("$12\r\n$5\r\nhello\r\n \r\n"),
    SAME("*0\r\n"),
    SAME("*-1\r\n"),
    SAME("*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"),
    SAME("*3\r\n:1\r\n$-1\r\n*-1\r\n"),
    SAME("*2\r\n*1\r\n:1\r\n*2\r\n+a\r\n-b\r\n"),
    SAME("*3\r\n*0\r\n*1\r\n*0\r\n:1\r\n"),
    /* RESP3 */
    REPLY("_\r\n", "$-1\r\n"),
    REPLY("#t\r\n", ":1\r\n"),
    REPLY("#f\r\n", ":0\r\n"),
    REPLY(",1.5\r\n", "$3\r\n1.5\r\n"),
    REPLY(",10\r\n", "$2\r\n10\r\n"),
    REPLY(",-0\r\n", "$2\r\n-0\r\n"),
    REPLY(",1e+20\r\n", "$5\r\n1e+20\r\n"),
    REPLY(",-3.25E-7\r\n", "$8\r\n-3.25E-7\r\n"),
    REPLY(",inf\r\n", "$3\r\ninf\r\n"),
    REPLY(",-inf\r\n", "$4\r\n-inf\r\n"),
    REPLY(",nan\r\n", "$3\r\nnan\r\n"),
    REPLY(",-nan\r\n", "$4\r\n-nan\r\n"),
    REPLY("(123456789012345678901234567890\r\n", "$30\r\n123456789012345678901234567890\r\n"),
    REPLY("(-5\r\n", "$2\r\n-5\r\n"),
    REPLY("!9\r\nERR a\r\nbc\r\n", "-ERR a  bc\r\n"),
    REPLY("!0\r\n\r\n", "-\r\n"),
    REPLY("=7\r\ntxt:abc\r\n", "$3\r\nabc\r\n"),
    REPLY("=4\r\nmkd:\r\n", "$0\r\n\r\n"),
    REPLY("~2\r\n+a\r\n:1\r\n", "*2\r\n+a\r\n:1\r\n"),
    REPLY("~0\r\n", "*0\r\n"),
    REPLY("%0\r\n", "*0\r\n"),
    REPLY("%1\r\n+k\r\n#t\r\n", "*2\r\n+k\r\n:1\r\n"),
    REPLY("%2\r\n+a\r\n,1\r\n+b\r\n_\r\n", "*4\r\n+a\r\n$1\r\n1\r\n+b\r\n$-1\r\n"),
    REPLY(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
          "*2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"),
    REPLY(">2\r\n$10\r\ninvalidate\r\n_\r\n", "*2\r\n$10\r\ninvalidate\r\n$-1\r\n"),
    REPLY("*1\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
          "*1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"),
    REPLY("|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n", "$1\r\nx\r\n"),
    REPLY("|0\r\n:1\r\n", ":1\r\n"),
    REPLY("|1\r\n+a\r\n:1\r\n|1\r\n+b\r\n:2\r\n:3\r\n", ":3\r\n"),
    REPLY("|1\r\n+a\r\n*1\r\n:1\r\n%1\r\n+k\r\n+v\r\n", "*2\r\n+k\r\n+v\r\n"),
    REPLY("*2\r\n:1\r\n|1\r\n+ttl\r\n:5\r\n:2\r\n", "*2\r\n:1\r\n:2\r\n"),
    REPLY("*1\r\n|1\r\n|1\r\n+x\r\n+y\r\n+k\r\n~1\r\n_\r\n#f\r\n", "*1\r\n:0\r\n"),
    REPLY("%1\r\n~1\r\n:1\r\n*1\r\n%1\r\n+a\r\n,2.5\r\n",
          "*2\r\n*1\r\n:1\r\n*1\r\n*2\r\n+a\r\n$3\r\n2.5\r\n"),
};
const size_t reply_example_count = COUNT(reply_examples);

#define BAD(text, why)                                                                             \
    {                                                                                              \
        T(text), STRATA_ERR_PROTOCOL, why                                                          \
    }
#define BIG(text, why)                                                                             \
    {                                                                                              \
        T(text), STRATA_ERR_TOO_BIG, why                                                           \
    }

#define JUNK      "a number has other bytes than digits"
#define EMPTY     "a number has no digits"
#define ZERO      "a number begins with zero"
#define RANGE     "a number does not fit in 64 bits"
#define NO_LF     "a number's line does not end with CR LF"
#define STRAY_CR  "a line has a carriage return that is not its end"
#define STREAMED  "streamed strings and aggregates are not supported"
#define REAL      "a double is malformed"
#define BIGNUM    "a big number is malformed"
#define LETTERS   "a null or boolean has more bytes than it may"
#define ELEMENTS  "an aggregate has more elements than the limit"
#define LINE_LONG "a line is longer than the limit"

const struct bad_example bad_replies[] = {
    BAD("hello\r\n", "a value begins with an unknown type"),
    BAD("\r\n", "a value begins with an unknown type"),
    BAD("\0", "a value begins with an unknown type"),
    BAD("*1\r\n?\r\n", "a value begins with an unknown type"),
    BAD("+a\nb\r\n", "a line has a line feed that is not its end"),
    BAD("-a\n\r\n", "a line has a line feed that is not its end"),
    BAD("+a\rb\r\n", STRAY_CR),
    BAD("+a\r\r\n", STRAY_CR),
    BIG("+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", LINE_LONG),
    BIG("-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", LINE_LONG),
    BAD(":\r\n", EMPTY),
    BAD(":-\r\n", EMPTY),
    BAD(":+1\r\n", JUNK),
    BAD(":--1\r\n", JUNK),
    BAD(": 1\r\n", JUNK),
    BAD(":1 \r\n", JUNK),
    BAD(":1.0\r\n", JUNK),
    BAD(":0x1\r\n", JUNK),
    BAD(":1\n", JUNK),
    BAD(":1\0\r\n", JUNK),
    BAD(":01\r\n", ZERO),
    BAD(":00\r\n", ZERO),
    BAD(":-0\r\n", ZERO),
    BAD(":-01\r\n", ZERO),
    BAD(":9223372036854775808\r\n", RANGE),
    BAD(":-9223372036854775809\r\n", RANGE),
    BAD(":99999999999999999999\r\n", RANGE),
    BAD(":1\rx", NO_LF),
    BAD(":12\r\r\n", NO_LF),
    BAD("$\r\n", EMPTY),
    BAD("$-2\r\n", "a length is negative"),
    BAD("$+5\r\n", JUNK),
    BAD("$5x", JUNK),
    BAD("$05\r\n", ZERO),
    BAD("$18446744073709551617\r\n", RANGE),
    BAD("$3\r\nabcd\r\n", "a string does not end with CR LF"),
    BAD("$3\r\nabc\n\r", "a string does not end with CR LF"),
    BAD("$0\r\n..", "a string does not end with CR LF"),
    BIG("$1001\r\n", "a string is longer than the limit"),
    BIG("$9223372036854775807\r\n", "a string is longer than the limit"),
    BIG("*2\r\n:1\r\n$9223372036854775807\r\n", "a string is longer than the limit"),
    BAD("!-1\r\n", "a length is negative"),
    BAD("=-1\r\n", "a length is negative"),
    BAD("=3\r\ntxt\r\n", "a verbatim string is too short for its format"),
    BAD("=0\r\n\r\n", "a verbatim string is too short for its format"),
    BAD("=5\r\ntxt;a\r\n", "a verbatim string has no format"),
    BAD("*-2\r\n", "a count is negative"),
    BAD("%-1\r\n", "a count is negative"),
    BAD("~-1\r\n", "a count is negative"),
    BAD(">-1\r\n", "a count is negative"),
    BAD("|-1\r\n", "a count is negative"),
    BAD("*\r\n", EMPTY),
    BAD("*1x\r\n", JUNK),
    BAD("%9223372036854775808\r\n", RANGE),
    BIG("*101\r\n", ELEMENTS),
    BIG("%51\r\n", ELEMENTS),
    BIG("|51\r\n", ELEMENTS),
    BIG("*9223372036854775807\r\n", ELEMENTS),
    BIG("%9223372036854775807\r\n", ELEMENTS),
    BIG("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "aggregates are nested deeper than the limit"),
    BIG("|1\r\n*1\r\n|1\r\n%1\r\n~1\r\n", "aggregates are nested deeper than the limit"),
    BAD("_x\r\n", LETTERS),
    BAD("_\r\r", STRAY_CR),
    BAD("#\r\n", "a boolean is neither t nor f"),
    BAD("#1\r\n", "a boolean is neither t nor f"),
    BAD("#\0\r\n", "a boolean is neither t nor f"),
    BAD("#true\r\n", LETTERS),
    BAD("#t\rx", STRAY_CR),
    BAD(",\r\n", REAL),
    BAD(",.5\r\n", REAL),
    BAD(",5.\r\n", REAL),
    BAD(",+1\r\n", REAL),
    BAD(",1e\r\n", REAL),
    BAD(",1e+\r\n", REAL),
    BAD(",1,5\r\n", REAL),
    BAD(",0x10\r\n", REAL),
    BAD(",1 \r\n", REAL),
    BAD(",Inf\r\n", REAL),
    BAD(",infinity\r\n", REAL),
    BAD(",-\r\n", REAL),
    BAD("(\r\n", BIGNUM),
    BAD("(-\r\n", BIGNUM),
    BAD("(+1\r\n", BIGNUM),
    BAD("(1.5\r\n", BIGNUM),
    BAD("(12a\r\n", BIGNUM),
    BAD("$?\r\n", STREAMED),
    BAD("*?\r\n", STREAMED),
    BAD("%?\r\n", STREAMED),
    BAD("~?\r\n", STREAMED),
    BAD(">?\r\n", STREAMED),
    BAD("|?\r\n", STREAMED),
    BAD("=?\r\n", STREAMED),
    BAD("!?\r\n", STREAMED),
    BAD(";4\r\n", STREAMED),
    BAD(".\r\n", STREAMED),
    BAD(":?\r\n", JUNK),
};
const size_t bad_reply_count = COUNT(bad_replies);

#define NO_ARGS                                                                                    \
    {                                                                                              \
        {                                                                                          \
            NULL, 0                                                                                \
        }                                                                                          \
    }

const struct request_example request_examples[] = {
    {T("*1\r\n$4\r\nPING\r\n"), 1, {B("PING")}},
    {T("*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n"), 2, {B("GET"), B("hello")}},
    {T("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\0*\r\n"), 3, {B("SET"), B(""), B("\r\n\0*")}},
    {T("*2\r\n$4\r\nECHO\r\n$12\r\nhello world!\r\n"), 2, {B("ECHO"), B("hello world!")}},
    {T("*0\r\n"), 0, NO_ARGS},
    {T("*-1\r\n"), 0, NO_ARGS},
    {T("*-7\r\n"), 0, NO_ARGS},
    /* inline */
    {T("PING\r\n"), 1, {B("PING")}},
    {T("PING\n"), 1, {B("PING")}},
    {T("\r\n"), 0, NO_ARGS},
    {T("\n"), 0, NO_ARGS},
    {T("   \t \r\n"), 0, NO_ARGS},
    {T("  set  a\tb \r\n"), 3, {B("set"), B("a"), B("b")}},
    {T("set a \"\"\r\n"), 3, {B("set"), B("a"), B("")}},
    {T("set a ''\r\n"), 3, {B("set"), B("a"), B("")}},
    {T("set \"a b\" 'c d'\r\n"), 3, {B("set"), B("a b"), B("c d")}},
    {T("\"\\x00\\xfF\\n\\r\\t\\b\\a\\\\\\\"\\q\"\r\n"), 1, {B("\0\xff\n\r\t\b\a\\\"q")}},
    {T("\"\\xg1\\x1\"\r\n"), 1, {B("xg1x1")}},
    {T("'\\n\\'\\x41\"'\r\n"), 1, {B("\\n'\\x41\"")}},
    {T("foo\"bar baz\" x\r\n"), 2, {B("foobar baz"), B("x")}},
    {T("a\\\"b\"\r\n"), 1, {B("a\\b")}},
    {T("a\rb\r\r\n"), 2, {B("a"), B("b")}},
    {T("a\vb \vc\f\r\n"), 2, {B("a\vb"), B("c\f")}},
    {T("\"a\"\vb\r\n"), 2, {B("a"), B("b")}},
    {T("$3\r\n"), 1, {B("$3")}},
    {T("caf\xc3\xa9\r\n"), 1, {B("caf\xc3\xa9")}},
};
const size_t request_example_count = COUNT(request_examples);

#define MULTIBULK "invalid multibulk length"
#define BULK      "invalid bulk length"
#define BULK_END  "expected CR LF after bulk"

const struct bad_example bad_requests[] = {
    BAD("*\r\n", MULTIBULK),
    BAD("*a\r\n", MULTIBULK),
    BAD("*+1\r\n", MULTIBULK),
    BAD("*01\r\n", MULTIBULK),
    BAD("*1\rx", MULTIBULK),
    BAD("*9223372036854775808\r\n", MULTIBULK),
    BIG("*101\r\n", MULTIBULK),
    BIG("*9223372036854775807\r\n", MULTIBULK),
    BAD("*1\r\n:1\r\n", "expected '$'"),
    BAD("*1\r\n*1\r\n", "expected '$'"),
    BAD("*1\r\nPING\r\n", "expected '$'"),
    BAD("*2\r\n$1\r\na\r\n\r\n", "expected '$'"),
    BAD("*1\r\n$\r\n", BULK),
    BAD("*1\r\n$-1\r\n", BULK),
    BAD("*1\r\n$1a\r\n", BULK),
    BAD("*1\r\n$+1\r\n", BULK),
    BAD("*1\r\n$99999999999999999999\r\n", BULK),
    BIG("*1\r\n$1001\r\n", BULK),
    BIG("*1\r\n$9223372036854775807\r\n", BULK),
    BAD("*1\r\n$1\r\nabc", BULK_END),
    BAD("*1\r\n$0\r\nab", BULK_END),
    BAD("*2\r\n$1\r\na\n\r", BULK_END),
    BAD("a\0b\r\n", "zero byte in inline request"),
    BAD("\0", "zero byte in inline request"),
    BIG("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "too big inline request"),
};
const size_t bad_request_count = COUNT(bad_requests);
