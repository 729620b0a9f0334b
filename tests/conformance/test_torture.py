"""Answers after the cases of RFC 4475. Those that are odd but right are understood; those that are wrong change nothing but
a counter: the right answer that follows them is taken as if they had never come.
"""

import re

import pytest


def with_header(name, value):
    """Replaces the first header of that name."""
    return lambda data: re.sub(rb"(?m)^%s: [^\r]*\r\n" % name.encode(), lambda _: ("%s: %s\r\n" % (name, value)).encode(
        "utf-8", "surrogateescape"), data, count=1)


def without_header(name):
    return lambda data: re.sub(rb"(?m)^%s: [^\r]*\r\n" % name.encode(), b"", data)


def more(*lines):
    """More header lines, before Content-Length."""
    return lambda data: data.replace(b"Content-Length:", "".join(line + "\r\n" for line in lines).encode(
        "utf-8", "surrogateescape") + b"Content-Length:")


def start_line(text):
    return lambda data: text.encode("utf-8", "surrogateescape") + data[data.index(b"\r\n"):]


def fold(data):
    """Every header's value on a line of its own, names in odd case, white space before the colon."""
    lines = data.split(b"\r\n")
    folded = [re.sub(rb"^([\w-]+): ", lambda m: m.group(1).swapcase() + b" \t:\r\n \t ", line) for line in lines[1:-2]]
    return b"\r\n".join([lines[0], *folded, b"", b""])


COMPACT = {b"Via": b"v", b"From": b"f", b"To": b"t", b"Call-ID": b"i", b"Contact": b"m", b"Content-Length": b"l"}


def compact(data):
    for name, short in COMPACT.items():
        data = re.sub(rb"(?m)^%s:" % name, short + b":", data)
    return data


# (case of RFC 4475, edit of a 200 that must register)
ODD_BUT_RIGHT = [
    ("3.1.1.1 folded, odd case and white space", fold),
    ("3.1.1.1 compact names", compact),
    ("3.1.1.1 unknown headers, empty values", more("NewFangled: ;;,,\"x\" (y", "Unknown-Empty:", "X-\u00fc: \u00fc")),
    ("3.1.1.1 a quoted string of escapes", more('Contact: "x \\"y\\\\\\" <not@it>" <sip:other@192.0.2.5>;expires=9')),
    ("3.1.1.3 escapes in a URI of another's", more("Contact: <sip:%75%3c%3e@192.0.2.5;x=%3d>;expires=9")),
    ("3.1.1.4 an escaped NUL in a URI of another's", more("Contact: <sip:a%00b@192.0.2.5>;expires=9")),
    ("3.1.1.5 a percent sign in a header's name", more("X-%75: y")),
    ("3.1.1.6 no white space before the bracket", more('Contact: caller<sip:caller@192.0.2.5>;expires=9')),
    ("3.1.1.7 long values", more("X-Long: " + "y" * 8000, "Contact: <sip:%s@192.0.2.5>;expires=9" % ("z" * 2000))),
    ("3.1.1.9 semicolons in a user part", more("Contact: <sip:user;par=u%40x@192.0.2.5>;expires=9")),
    ("3.1.1.11 a multipart body", lambda data: data.replace(
        b"Content-Length: 0\r\n\r\n",
        b"Content-Type: multipart/mixed;boundary=x\r\nContent-Length: 12\r\n\r\n--x\r\n\r\n\0\xff\r\n-")),
    ("3.1.1.12 an unusual reason", start_line("SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e")),
    ("3.1.1.13 no reason", start_line("SIP/2.0 200 ")),
    ("3.3.12 unknown parameters of a Contact", lambda data: data.replace(
        b";expires=", b";unknownparam;other=\"x,y\";expires=", 1)),
    ("3.3.14 headers in a URI of another's", more("Contact: <sip:x@192.0.2.5?Route=%3Csip:192.0.2.6%3E>;expires=9")),
    ("3.3.13 a challenge of an unknown scheme beside", more("WWW-Authenticate: NoOneKnowsThisScheme opaque-data=here")),
    ("3.1.2.5 an overlarge Retry-After", more("Retry-After: 949302838503028349304023988")),
]

# (case, edit of a 403 that must be dropped)
WRONG = [
    ("3.1.2.2 Content-Length beyond the datagram", with_header("Content-Length", "9999")),
    ("3.1.2.3 a negative Content-Length", with_header("Content-Length", "-999")),
    ("3.1.2.5 an overlarge CSeq", with_header("CSeq", "9292394834772304023312 REGISTER")),
    ("3.1.2.6 a quoted string without its end", with_header("To", '"Mr. J. User <sip:j.user@example.com>')),
    ("3.1.2.16 an unknown version", start_line("SIP/7.0 403 Forbidden")),
    ("3.1.2.17 CSeq of another method", with_header("CSeq", "1 OPTIONS")),
    ("3.1.2.19 an overlarge status", start_line("SIP/2.0 4294967301 better not")),
    ("a status of two digits", start_line("SIP/2.0 40 Forbidden")),
    ("a status of no class", start_line("SIP/2.0 703 Forbidden")),
    ("a status that is no number", start_line("SIP/2.0 4o3 Forbidden")),
    ("no start line", lambda data: data[data.index(b"\r\n") + 2:]),
    ("3.2.1 a branch of nothing but its cookie", lambda data: re.sub(rb"branch=[^;\r]*", b"branch=z9hG4bK", data)),
    ("3.2.1 no branch", lambda data: re.sub(rb";branch=[^;\r]*", b"", data)),
    ("3.3.1 no Call-ID", without_header("Call-ID")),
    ("3.3.1 no CSeq", without_header("CSeq")),
    ("3.3.1 no From", without_header("From")),
    ("3.3.1 no To", without_header("To")),
    ("3.3.1 no Via", without_header("Via")),
    ("3.3.8 two CSeq", more("CSeq: 4711 INVITE")),
    ("3.3.8 two Call-ID", more("Call-ID: another@example.com")),
    ("3.3.9 two Content-Length", lambda data: data.replace(
        b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 77")),
    ("3.3.10 somebody else's Via on top", lambda data: data.replace(
        b"Via:", b"Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\nVia:", 1)),
    ("no empty line at the end", lambda data: data[:-2]),
    ("a NUL in a header", with_header("Call-ID", "a\0b")),
    ("nothing but its start line", lambda data: data[:data.index(b"\r\n")] + b"\r\n\r\n"),
    ("a request that looks like it", start_line("REGISTER sip:example.com SIP/2.0")),
]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("edit", [pytest.param(edit, id=case) for case, edit in ODD_BUT_RIGHT])
def test_what_is_odd_but_right_is_understood(registrant, registrar, transport, edit):
    """RFC 4475 3.1.1, 3.3: parsers must take what the grammar of RFC 3261 25 allows."""
    r = registrant.prepare(registrar, transport=transport)
    registrar.script(r.aor, [{"edit": edit}])
    r.send()
    report = r.registered()
    assert report["granted_s"] == 600 and len(registrar.requests(r.aor)) == 1


def test_bytes_behind_the_end_of_a_message_do_not_count(registrant, registrar):
    """RFC 4475 3.1.1.8, RFC 3261 18.3: what a datagram holds beyond Content-Length is discarded."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"edit": lambda data: data + data.replace(b"200 OK", b"403 Forbidden")}])
    r.send()
    assert r.registered()["cause"]["code"] == 200 and len(r.reports) == 1


@pytest.mark.parametrize("edit", [pytest.param(edit, id=case) for case, edit in WRONG])
def test_what_is_wrong_changes_nothing(registrant, registrar, edit):
    """RFC 4475 3.1.2, 3.2, 3.3 with RFC 3261 8.1.3.3, 17.1.3, 18.1.2 and 18.3: what is malformed or nobody's is discarded;
    the answer after it counts."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"status": 403, "edit": lambda data: [
        edit(data), data.replace(b"403 Forbidden", b"480 Right")]}, "drop"])
    before = registrant.stats()
    r.send()
    report = r.wait()
    assert report["cause"]["code"] == 480 and report["cause"]["reason"] == "Right" and len(r.reports) == 1
    noticed = ("malformed", "stray", "incoming", "not_a_message")
    registrant.wait_stats(lambda s: sum(s[k] for k in noticed) > sum(before[k] for k in noticed) and s["in_flight"] == 0 and
                          s["answers_4xx"] == before["answers_4xx"] + 1)
