"""Lists: pages, sort, fields, filter; and what is wrong with a query (contract 8)."""
import pytest

URL = "http://example.org/api/rest/admin/registrations"


@pytest.fixture
def seven(api):
    """Seven registrations, with what sorts them."""
    rows = [("b", 3, "x"), ("a", None, "y"), ("d", 1, "x"), ("c", -1, "y"), ("B", 20, "x"), ("f", None, "y"), ("e", 3, "x")]
    return [api.create(name=n, expire=e, username=u, enabled=n < "d") for n, e, u in rows]


def ids(answer):
    assert answer.status == 200, answer.body
    return [d["id"] for d in answer.data]


def names(answer):
    assert answer.status == 200, answer.body
    return [d["attributes"]["name"] for d in answer.data]


def link(number, size, rest=""):
    return f"{URL}?page%5Bnumber%5D={number}&page%5Bsize%5D={size}{rest}"


# ---- pages

def test_a_list_is_by_id_with_50_a_page(api, seven):
    answer = api.get("/registrations")
    assert ids(answer) == seven
    assert answer.json["meta"] == {"total-count": 7}
    assert answer.json["links"] == {"first": link(1, 50), "last": link(1, 50)}


def test_an_empty_list_has_one_page(api):
    answer = api.get("/registrations")
    assert answer.json == {"data": [], "meta": {"total-count": 0}, "links": {"first": link(1, 50), "last": link(1, 50)}}


def test_pages_are_linked(api, seven):
    answer = api.get("/registrations?page[size]=3&page[number]=2")
    assert ids(answer) == seven[3:6]
    assert answer.json["links"] == {"first": link(1, 3), "prev": link(1, 3), "next": link(3, 3), "last": link(3, 3)}
    assert list(answer.json["links"]) == ["first", "prev", "next", "last"]
    answer = api.get("/registrations?page%5Bsize%5D=3&page%5Bnumber%5D=3")
    assert ids(answer) == seven[6:]
    assert list(answer.json["links"]) == ["first", "prev", "last"]


@pytest.mark.parametrize("number", [9, 10**9, 2**62, 10**30])
def test_past_the_end_is_an_empty_page(api, seven, number):
    answer = api.get(f"/registrations?page[number]={number}&page[size]=1000")
    assert ids(answer) == []
    assert "next" not in answer.json["links"] and "prev" in answer.json["links"]
    assert answer.json["meta"] == {"total-count": 7}


def test_links_keep_the_query_sorted_and_encoded(api, seven):
    answer = api.get("/registrations?sort=-name&page[size]=2&include=pop&fields[registrations]=name,pop&filter[id]="
                     + ",".join(seven) + "&token=&bogus=1&page[limit]=3")
    assert answer.json["links"]["first"] == (
        f"{URL}?fields%5Bregistrations%5D=name%2Cpop&filter%5Bid%5D={'%2C'.join(seven)}&include=pop"
        "&page%5Bnumber%5D=1&page%5Bsize%5D=2&sort=-name")


@pytest.mark.parametrize("query, detail", [
    ("page[size]=0", "0 is not a valid value for size page parameter."),
    ("page[size]=-1", "-1 is not a valid value for size page parameter."),
    ("page[size]=abc", "0 is not a valid value for size page parameter."),
    ("page[size]=1001", "size exceeds maximum page size of 1000."),
    ("page[number]=0", "0 is not a valid value for number page parameter."),
    ("page[number]=x", "0 is not a valid value for number page parameter."),
    ("page=0", "0 is not a valid value for number page parameter."),
    ("page[]=1", "0 is not a valid value for number page parameter."),
    ("page[size]=0&page[number]=0", "0 is not a valid value for size page parameter.")])
def test_a_bad_page(api, query, detail):
    answer = api.get(f"/registrations?{query}")
    assert (answer.status, answer.errors, answer.titles) == (400, [("118", detail, None)], ["Invalid page value"])


@pytest.mark.parametrize("query", ["page[size]=1000", "page=1", "page[limit]=0&page[offset]=-1", "page[number]=1x",
                                   "page[size]=%205", "page[size]=%2B5", "page[number]=%20%2B1"])
def test_a_good_page(api, query):
    assert api.get(f"/registrations?{query}").status == 200


def test_a_scalar_page_is_the_number(api, seven):
    assert api.get("/registrations?page=2").json["links"]["prev"] == link(1, 50)


# ---- sort

@pytest.mark.parametrize("sort, wanted", [
    ("", "badcBfe"), ("id", "badcBfe"), ("-id", "efBcdab"), ("name", "Babcdef"), ("-name", "fedcbaB"),
    ("expire", "cdbeBaf"), ("-expire,id", "afBbedc"), ("username,-name", "edbBfca"), ("-username,name", "acfBbde"),
    ("enabled,name", "defBabc"), ("-id,name", "efBcdab"), ("sip-schema-id,-id", "efBcdab"), ("sip_schema_id,-id", "efBcdab"),
    ("route-set,id", "badcBfe"), ("auth-password,id", "badcBfe"), ("retry_delay,domain,-name", "fedcbaB"), ("name,name", "Babcdef")])
def test_sorting(api, seven, sort, wanted):
    assert "".join(names(api.get(f"/registrations?sort={sort}"))) == wanted


def test_sorted_pages_fit_together(api, seven):
    found = [names(api.get(f"/registrations?sort=username,-name&page[size]=3&page[number]={n}")) for n in (1, 2, 3)]
    assert found == [list("edb"), list("Bfc"), list("a")]


def test_sorting_applies_to_what_is_filtered(api, seven):
    assert names(api.get(f"/registrations?sort=name&filter[id]={seven[0]},{seven[2]},{seven[1]}")) == ["a", "b", "d"]


@pytest.mark.parametrize("sort, printed", [("bogus", "bogus"), ("pop", "pop"), ("-transport-protocol", "transport_protocol"),
                                           ("name,bogus-one", "bogus_one"), ("name,,id", "")])
def test_a_bad_sort_alone_is_reported(api, sort, printed):
    answer = api.get(f"/registrations?include=bogus&sort={sort}&page[size]=0")
    assert (answer.status, answer.titles) == (400, ["Invalid sort criteria"])
    assert answer.errors == [("114", f"{printed} is not a valid sort criteria for registrations", None)]


# ---- filter

def test_filter_id_takes_a_list(api, seven):
    assert ids(api.get(f"/registrations?filter[id]={seven[2]},{seven[0]}")) == [seven[0], seven[2]]
    answer = api.get(f"/registrations?filter[id][]={seven[1]}&filter[id][]={seven[3]}")
    assert ids(answer) == [seven[1], seven[3]]
    assert answer.json["meta"] == {"total-count": 2}


@pytest.mark.parametrize("value", ["", "abc", "99999999999999999999999", "7777777", "-1", "1.5", "a,b"])
def test_filter_id_of_nothing_is_an_empty_list(api, seven, value):
    answer = api.get(f"/registrations?filter[id]={value}")
    assert ids(answer) == [] and answer.json["meta"] == {"total-count": 0}


def test_filter_id_stays_in_the_account(api, seven, world):
    assert ids(world.api().get(f"/registrations?filter[id]={seven[0]}")) == []


@pytest.mark.parametrize("name, printed", [("name", "name"), ("name_gt", "name_gt"), ("enabled_in", "enabled_in"), ("pop.id", "id"),
                                           ("pop.name", "name"), ("sip-schema-id", "sip_schema_id"), ("pop_id_gt", "pop_id_gt"),
                                           ("auth_password_eq", "auth_password_eq"), ("auth-password-cont", "auth_password_cont")])
def test_other_filters_are_not_allowed(api, name, printed):
    for path in ("/registrations", f"/registrations/{api.create()}"):
        answer = api.get(f"{path}?filter[{name}]=x")
        assert (answer.status, answer.errors) == (400, [("102", f"{printed} is not allowed.", None)])
        assert answer.titles == ["Filter not allowed"]


def test_a_filter_has_a_name(api):
    answer = api.get("/registrations?filter=x")
    assert (answer.errors, answer.titles) == ([("120", "x is not a valid syntax for filtering.", None)], ["Invalid filters syntax"])


# ---- fields and include

@pytest.mark.parametrize("query, error, title", [
    ("fields=name", ("119", "Fields must specify a type.", None), "Invalid field format"),
    ("fields[bogus]=name", ("101", "bogus is not a valid resource.", None), "Invalid resource"),
    ("fields[registrations]=bogus", ("104", "bogus is not a valid field for registrations.", None), "Invalid field"),
    ("fields[registrations]=name,auth_user", ("104", "auth_user is not a valid field for registrations.", None), "Invalid field"),
    ("fields[registrations]=", ("104", "nil is not a valid field for registrations.", None), "Invalid field"),
    ("fields[pops]=username", ("104", "username is not a valid field for pops.", None), "Invalid field")])
def test_bad_fields_alone_are_reported(api, query, error, title):
    for path in ("/registrations", f"/registrations/{api.create()}"):
        answer = api.get(f"{path}?include=bogus&{query}&page[size]=0")
        assert (answer.status, answer.errors, answer.titles) == (400, [error], [title])


@pytest.mark.parametrize("include, detail", [
    ("bogus", "bogus is not a valid relationship of registrations"), ("transport_protocol", "transport_protocol is not a valid relationship of registrations"),
    ("node.bogus", "bogus is not a valid relationship of nodes"), ("pop.node", "node is not a valid relationship of pops"),
    ("pop,bogus,other", "bogus is not a valid relationship of registrations")])
def test_the_first_bad_include_is_reported(api, include, detail):
    answer = api.get(f"/registrations?include={include}")
    assert (answer.status, answer.errors, answer.titles) == (400, [("112", detail, None)], ["Invalid field"])
    assert api.get("/registrations?include[]=pop").status == 400


def test_include_filter_and_page_are_reported_together(api):
    answer = api.get("/registrations?page[size]=0&filter[bogus]=1&filter[more]=2&include=bogus")
    assert [e[0] for e in answer.errors] == ["112", "102", "118"]


def test_unknown_parameters_are_ignored(api):
    assert api.get("/registrations?timezone=%28GMT%2B00%3A00%29+UTC&a[b][c]=d&x=&=y&&").status == 200


@pytest.mark.parametrize("query", ["a=%zz", "a=%00", "many"])
def test_a_query_that_cannot_be_read_is_a_bad_request(api, query):
    query = "&".join(f"a{i}=1" for i in range(300)) if query == "many" else query
    assert api.get(f"/registrations?{query}").status == 400


def test_page_and_sort_are_not_read_for_one(api):
    assert api.get(f"/registrations/{api.create()}?page[size]=0&sort=bogus&page=x").status == 200


def test_hundreds_are_listed_in_pages_of_any_size(api):
    made = [api.create(name=f"n{i:03}", expire=i % 7) for i in range(230)]
    assert ids(api.get("/registrations?page[size]=1000")) == made
    found = [n for p in (1, 2, 3) for n in names(api.get(f"/registrations?sort=expire,-name&page[size]=100&page[number]={p}"))]
    assert found == [f"n{i:03}" for i in sorted(range(230), key=lambda i: (i % 7, -i))]
