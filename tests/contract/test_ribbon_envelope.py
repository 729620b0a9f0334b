"""Contract ribbon 3: the envelope, its bytes as clients slice them, and shapes; the seed's request and its answer."""
import re
import xml.etree.ElementTree as ElementTree

import pytest
from ribbon_client import (CONTACT, CREDENTIAL, CREDENTIALS, ENTRY, HOST, MASK, SERVER, SERVERS, connect, credential_path,
                           entry_path, path, server_path)

BASE = f"http://{HOST}/rest"


@pytest.fixture(scope="module")
def ribbon(world):
    """An account with one of everything."""
    client = connect(world)
    client.make(path(CONTACT, 3), Description="contacts")
    client.make(entry_path(3, 1), AOR="sip:4001", TTL1="0", URI1="4001")
    client.make(entry_path(3, 2), AOR="4002")
    client.make(path(SERVERS, 2), Description="servers")
    client.make(path(CREDENTIALS, 4), Description="credentials")
    client.make(credential_path(4, 1), User="4001", EncryptedPassword="secret")
    client.make(server_path(2, 1), Host="192.0.2.1")
    return client


# ---- the seed: its very request, answered with the very shape (3.2)

def test_seed_put_of_an_entry(world):
    seed = connect(world)
    seed.make(path(CONTACT, 3), Description="c")
    answer = seed.call("PUT", entry_path(3, 1), {"AorType": "1", "AOR": "sip:4001", "AorTtl": "3600",
                                                 "FailedRegistrationRetryTimer": "120", "TTL1": "0", "Q1": "100",
                                                 "URI1": "4001"})
    slots = "".join(f"<TTL{n}>64</TTL{n}>\n<Q{n}>100</Q{n}>\n<URI{n}></URI{n}>\n" for n in range(2, 9))
    assert answer.text == (
        "\n<?xml version=\"1.0\"?>\n<root>\n<status>\n<http_code>200</http_code>\n</status>\n"
        f"<sipregistrantentry id=\"3:1\" href=\"{BASE}/sipcontactregistrant/3/sipregistrantentry/1\">\n"
        "<AorType>1</AorType>\n<AOR>sip:4001</AOR>\n<AorTtl>3600</AorTtl>\n"
        "<FailedRegistrationRetryTimer>120</FailedRegistrationRetryTimer>\n"
        "<TTL1>0</TTL1>\n<Q1>100</Q1>\n<URI1>4001</URI1>\n" + slots + "</sipregistrantentry>\n</root>\n")
    assert seed.get(entry_path(3, 1)).text == answer.text


# ---- 3: elements

def test_3_status_alone_after_delete(world):
    client = connect(world)
    client.make(path(CONTACT, 1), Description="c")
    assert client.delete(path(CONTACT, 1)).text == (
        "\n<?xml version=\"1.0\"?>\n<root>\n<status>\n<http_code>200</http_code>\n</status>\n</root>\n")


def test_3_error_shape(ribbon):
    answer = ribbon.put(path(CONTACT, 3), Description="again")
    assert answer.text == (
        "\n<?xml version=\"1.0\"?>\n<root>\n<status>\n<http_code>500</http_code>\n"
        f"<app_status href=\"{BASE}/sipcontactregistrant/3\">\n"
        "<app_status_entry code=\"20013\" params=\"3|sipcontactregistrant\"/>\n</app_status>\n</status>\n</root>\n")


def test_3_exactly_one_error_whatever_is_wrong(ribbon):
    answer = ribbon.put(entry_path(3, 9), AOR="", AorTtl="x", Q1="101", TTL1="-1")
    assert answer.text.count("<app_status_entry") == 1


def test_3_the_content_is_xml_in_utf_8(ribbon):
    assert dict(ribbon.get(path(CONTACT)).headers)["content-type"] == "text/xml; charset=utf-8"


def test_3_put_and_post_give_the_resource_in_full(world):
    client = connect(world)
    client.make(path(CONTACT, 1), Description="c")
    made = client.make(entry_path(1, 1), AOR="sip:1", Q3="7")
    changed = client.post(entry_path(1, 1), Q3="8").item
    assert len(made.order) == len(changed.order) == 28
    assert changed.values == {**made.values, "Q3": "8"}
    assert client.get(entry_path(1, 1)).item.values == changed.values


@pytest.mark.parametrize("text", ["a & b", "<b>", "\"quoted\"", "it's", "]]>", "&amp;", "ü €", "a;b"])
def test_3_values_are_escaped(world, text):
    client = connect(world)
    assert client.make(path(CONTACT, 1), Description=text)["Description"] == text
    assert client.get(path(CONTACT, 1)).item["Description"] == text


def test_3_hrefs_and_params_are_escaped(ribbon):
    answer = ribbon.call("GET", "/a%22%3E<&'b")
    assert answer.app == 20012 and answer.params == "|a%22%3E<&'b"
    assert answer.app_href == f"{BASE}/a%22%3E<&'b"


def test_3_no_href_holds_the_query(ribbon):
    for query in ("?details=true", "?details=true&filter=runtime", "?details=yes&x=1"):
        assert "?" not in re.sub(r"<\?xml.*?\?>", "", ribbon.get(path(CONTACT, 3, ENTRY), query).text)


# ---- 3.1: what clients that slice text do, done again here

def s12(answer):
    """Drops the last eight characters and puts the end back, then looks between </status> and </root>."""
    cut = answer.text[:-8]
    root = ElementTree.fromstring((cut + "\n</root>").strip())
    between = re.search(r"</status>\s+(.*?)\s*</root>", answer.text, re.S).group(1)
    return root, between


COLLECTIONS = [path(CONTACT), path(CONTACT, 3, ENTRY), path(SERVERS), path(SERVERS, 2, SERVER), path(CREDENTIALS),
               path(CREDENTIALS, 4, CREDENTIAL)]
ITEMS = [path(CONTACT, 3), entry_path(3, 1), path(SERVERS, 2), server_path(2, 1), path(CREDENTIALS, 4),
         credential_path(4, 1)]


@pytest.mark.parametrize("target", ITEMS)
def test_3_1_s12_slices_items(ribbon, target):
    answer = ribbon.get(target)
    assert "<http_code>200</http_code>" in answer.text
    root, between = s12(answer)
    name = target.split("/")[-2]
    assert between.startswith(f"<{name} id=\"") and between.endswith(f"</{name}>")
    assert ElementTree.fromstring(between).tag == root[1].tag == name


@pytest.mark.parametrize("target", COLLECTIONS)
def test_3_1_s12_slices_lists(ribbon, target):
    _, between = s12(ribbon.get(target))
    name = target.split("/")[-1]
    assert between.startswith(f"<{name}_list")
    for link in ElementTree.fromstring(between):
        assert link.tag == f"{name}_pk" and link.get("href").startswith("http://")


@pytest.mark.parametrize("target,query", [*((t, "") for t in ITEMS + COLLECTIONS), *((t, "?details=true") for t in COLLECTIONS),
                                          (path(CONTACT, 3, ENTRY), "?filter=runtime"), (entry_path(3, 1), "?filter=runtime"),
                                          (path(CONTACT, 65535, ENTRY), "")])
def test_3_1_s12_cuts_from_its_prefix_to_eight_characters_before_the_end(ribbon, target, query):
    name = target.split("/")[-2 if target in ITEMS else -1]
    text = ribbon.get(target, query).text
    begin = text.index(f"<{name} id=\"" if target in ITEMS else f"<{name}_list")
    root = ElementTree.fromstring(text[begin:len(text) - 8])
    assert root.tag == (name if target in ITEMS else f"{name}_list")


def test_3_1_s12_slices_what_put_and_post_answer(world):
    """Between the white space after </status> and that before </root>, each found by its first match."""
    client = connect(world)
    for target, fields in ((path(CONTACT, 3), {"Description": "</root>\\s </status> &"}), (entry_path(3, 1), {"AOR": "sip:1"})):
        for method in ("PUT", "POST"):
            text = client.call(method, target, fields).text
            begin, end = re.search(r"</status>\s+", text).end(), re.search(r"\s+</root>", text).start()
            assert ElementTree.fromstring(text[begin:end]).tag == target.split("/")[-2]
            assert ElementTree.fromstring(text[text.index(f"<{target.split('/')[-2]} id="):-8]).get("id")


def test_3_1_the_body_begins_with_a_line_break_then_the_declaration(ribbon):
    for answer in (ribbon.get(path(CONTACT)), ribbon.get("/zzz"), ribbon.delete(path(CONTACT, 99))):
        assert answer.text.startswith("\n<?xml version=\"1.0\"?>\n<root>\n")
        with pytest.raises(ElementTree.ParseError):
            ElementTree.fromstring(answer.text)  # so that clients of PowerShell get text, which they trim
        ElementTree.fromstring(answer.text.strip())


def test_3_1_the_end_survives_the_cut_of_eight_characters(ribbon):
    for target in ITEMS + COLLECTIONS:
        ElementTree.fromstring((ribbon.get(target).text[:-8] + "</root>").strip())


def test_3_1_pyribbon_replaces_ampersands(world):
    """Every & becomes its entity before parsing: addresses hold none, and values survive doubly escaped."""
    client = connect(world)
    client.make(path(CONTACT, 1), Description="a & b")
    root = ElementTree.fromstring(client.get(path(CONTACT, 1)).text.strip().replace("&", "&amp;"))
    assert root.find(".//Description").text == "a &amp; b"


def test_3_1_id_is_the_first_attribute(ribbon):
    for target in ITEMS:
        assert ribbon.get(target).item.attributes == ["id", "href"]


# ---- 3.2: shapes

@pytest.mark.parametrize("target,ids", [
    (path(CONTACT), ["3"]), (path(CONTACT, 3, ENTRY), ["3:1", "3:2"]), (path(SERVERS), ["2"]),
    (path(SERVERS, 2, SERVER), ["2:1"]), (path(CREDENTIALS), ["4"]), (path(CREDENTIALS, 4, CREDENTIAL), ["4:1"])])
def test_3_2_collections(ribbon, target, ids):
    plain = ribbon.get(target)
    assert plain.links == [(i, f"{BASE}{target}/{i.split(':')[-1]}") for i in ids]
    assert plain.list.get("href") == BASE + target
    assert ribbon.get(target, "?details=false").text == plain.text
    items = ribbon.get(target, "?details=true").items
    assert [(i.id, i.href) for i in items] == plain.links
    for item in items:
        assert ribbon.get(item.href[len(BASE):]).item.values == item.values


@pytest.mark.parametrize("target", COLLECTIONS)
def test_3_2_an_empty_list_has_its_element(world, target):
    client = connect(world)
    for table in (path(CONTACT, 3), path(SERVERS, 2), path(CREDENTIALS, 4)):
        if target.startswith(table):
            client.make(table, Description="empty")
    for query in ("", "?details=true"):
        answer = client.get(target, query)
        assert answer.http_code == 200 and len(answer.list) == 0
        assert answer.list.tag == target.split("/")[-1] + "_list"


def test_3_2_ids_are_in_numeric_order(world):
    client = connect(world)
    for i in (10, 9, 100, 1):
        client.make(path(CONTACT, i), Description="c")
    assert [i for i, _ in client.get(path(CONTACT)).links] == ["1", "9", "10", "100"]


def test_3_2_an_enum_is_its_number_and_unset_texts_are_empty(ribbon):
    item = ribbon.get(entry_path(3, 2)).item
    assert item["AorType"] == "1" and item["URI1"] == ""


def test_3_2_a_password_is_a_fixed_mask(ribbon):
    assert ribbon.get(credential_path(4, 1)).item["EncryptedPassword"] == MASK
    assert "secret" not in ribbon.get(path(CREDENTIALS, 4, CREDENTIAL), "?details=true").text


# ---- 4: details and filter

@pytest.mark.parametrize("query", ["?details=True", "?details=", "?details=1", "?details", "?filter=", "?filter=all",
                                   "?filter=Configuration", "?filter=statistics", "?filter=inventory",
                                   "?filter=configuration&filter=configuration", "?filter=runtime&filter=configuration"])
@pytest.mark.parametrize("target", [path(CONTACT, 3, ENTRY), entry_path(3, 1), path(SERVERS)])
def test_4_bad_details_and_filters(ribbon, target, query):
    assert ribbon.get(target, query).error == (400, 20035, "")


@pytest.mark.parametrize("target", [path(CONTACT), path(CONTACT, 3), path(SERVERS, 2, SERVER), path(CREDENTIALS)])
def test_4_resources_without_run_time_fields_refuse_that_filter(ribbon, target):
    assert ribbon.get(target, "?filter=runtime").error == (400, 20035, "")


def test_4_filter_configuration_is_what_is_configured(ribbon):
    plain = ribbon.get(entry_path(3, 1)).text
    assert ribbon.get(entry_path(3, 1), "?filter=configuration").text == plain
    full = ribbon.get(path(CONTACT, 3, ENTRY), "?details=true").text
    for query in ("?filter=configuration", "?details=true&filter=configuration", "?details=false&filter=configuration"):
        assert ribbon.get(path(CONTACT, 3, ENTRY), query).text == full


def test_4_filter_runtime_has_run_time_fields_only(ribbon):
    for item in [ribbon.get(entry_path(3, 1), "?filter=runtime").item,
                 *ribbon.get(path(CONTACT, 3, ENTRY), "?filter=runtime").items]:
        assert item.order and all(name.startswith("rt_") for name in item.order)
    assert not any(name.startswith("rt_") for name in ribbon.get(entry_path(3, 1)).item.order)


def test_4_unknown_parameters_of_the_query_are_ignored(ribbon):
    assert ribbon.get(path(CONTACT), "?x=1&y").http_code == 200
