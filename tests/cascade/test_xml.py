import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import BadCommand
from cascade.manscdp import xml
from cascade.manscdp._native import decode, encode
from sip.errors import PeerError

QUERY = b"<Query><CmdType>DeviceInfo</CmdType><SN>1</SN><DeviceID>1</DeviceID></Query>"
PIECES = [
    b"<Query>",
    b"</Query>",
    b"<SN>",
    b"</SN>",
    b"<a/>",
    b"&amp;",
    b"&",
    b"<!--",
    b"-->",
    b"\x01",
    b"\xc4\xa3",
]
PIECES += [
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE a [",
    b"]>",
    b"<?xml version='1.0'?>",
    b"<?p?>",
    b"x",
    b"\x00",
    b"&#x1;",
]


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)
    | st.binary(max_size=40).map(lambda noise: QUERY.replace(b"1</SN>", noise + b"</SN>"))
)
def test_any_bytes_have_a_root_or_blame_the_peer(body: bytes) -> None:
    with contextlib.suppress(PeerError):
        assert xml.local_name(xml.read_root(body)) in xml.ROOTS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<Query",
        b"<Foo/>",
        b"<!DOCTYPE Query []>" + QUERY,
        b"<?xml version='1.0'?>\n<!-- x -->" + QUERY,
        b"<?p?><!DOCTYPE Query []>" + QUERY,
        b"<?p <a ?><!DOCTYPE Query []>" + QUERY,
        b"<?xml version='1.0' <a ?><!DOCTYPE Query []>" + QUERY,
        b"<?xml " * 100_000,
        b"<Query>" + b"<a>" * 20 + b"</a>" * 20 + b"</Query>",
        b"<Query>" + b"<a/>" * 20_001 + b"</Query>",
        b"<Query><a>" + b"x" * 5000 + b"</a></Query>",
        b"<Query><" + b"a" * 65 + b"/></Query>",
        b"<Query " + b" ".join(b"a%d='1'" % number for number in range(17)) + b"/>",
    ],
)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(BadCommand):
        xml.read_root(body)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"<?xml version='1.0' encoding='GB2312'?><Query><N>\xc3\xc5</N></Query>", "门"),
        ("<?xml version='1.0' encoding='GB2312'?><Query><N>门</N></Query>".encode(), "门"),
        (b"\xef\xbb\xbf<Query><N>&amp;</N></Query>", "&"),
        (b"<Query xmlns='urn:x'><n> A&B\r\n</n></Query>", "A&B"),
        (b"<Query><N><![CDATA[<a>]]></N></Query>", "<a>"),
        (b"<Query><N>a<!-- b -->c</N></Query>", "ac"),
        (b"<Query><N>a\x01b</N></Query>", "ab"),
        (b"<Query><N/></Query>", ""),
        (b"<Query/>", ""),
    ],
)
def test_text_is_read_by_its_bytes_and_repaired(body: bytes, name: str) -> None:
    assert xml.text_of(xml.read_root(body), "N") == name


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=40)


@given(TEXTS, st.sampled_from(["GB2312", "GB18030", "UTF-8"]))
def test_what_is_written_is_read_back(text: str, charset: str) -> None:
    written = xml.write("Query", [xml.element("N", f"-门-{text}-")], charset=charset)
    kept = xml._FORBIDDEN.sub("", text)
    if decode(written) == (written.decode(charset.replace("GB2312", "GB18030")), 0):  # else Q24's tie
        assert xml.text_of(xml.read_root(written), "N") == f"-门-{kept}-"


@given(st.binary(max_size=200))
def test_decoding_counts_what_it_replaced(body: bytes) -> None:
    text, replaced = decode(body)
    assert text.count("\ufffd") >= replaced
    assert len(text) <= len(body)


def test_the_label_gb2312_means_the_bytes_of_gb18030() -> None:
    assert encode("镕", "GB2312") == encode("镕", "GB18030") == b"\xe9\x46"
    assert encode("门", "utf-8") == "门".encode()
    with pytest.raises(ValueError, match="not a charset"):
        encode("x", "latin-1")
