"""Filters on registrations in the house style (contract 8.3, an addition): every operator of every family, with null, with the
store's indexes and without, together with sort and pages."""
import json

import pytest


def names(answer):
    assert answer.status == 200, answer.body
    found = [d["attributes"]["name"] for d in answer.data]
    assert answer.json["meta"]["total-count"] >= len(found)
    return found


@pytest.fixture(scope="module")
def filled(world):
    """Five registrations that differ in everything that can be asked for."""
    api = world.api()
    pop, node = 1, 2
    for path, body in (("/pops", {"type": "pops", "id": pop, "attributes": {"name": "p"}}),
                       ("/nodes", {"type": "nodes", "id": node, "attributes": {"name": "n", "rpc-endpoint": "x:1"},
                                   "relationships": {"pop": {"data": {"type": "pops", "id": pop}}}})):
        assert api.call("POST", path, {"data": body}).status == 201
    here = {"pop": {"data": {"type": "pops", "id": pop}}}
    there = {"node": {"data": {"type": "nodes", "id": node}}, "transport-protocol": {"data": {"type": "transport-protocols", "id": "2"}}}
    api.ids = [
        api.create(name="alpha", domain="One.example", username="ann", expire=60, max_attempts=3, auth_user="u1"),
        api.create(name="Beta", domain="two.example", username="bob", enabled=False, retry_delay=7, display_username="Bob B"),
        api.create(here, name="gamma,1", domain="one.example", username="ann", expire=600, contact="sip:g@192.0.2.9", sip_schema_id=2),
        api.create(there, name="delta", domain="three.example", username="Ann", force_expire=True, sip_interface_name="wan"),
        api.create(name="alphabet", domain="sub.one.example", username="eve", expire=3600, auth_user="u2", max_attempts=5),
    ]
    return api


ROWS = [
    # strings: eq, not_eq, cont, start, end, in, not_in, cont_any
    ("name_eq=alpha", "alpha"), ("name_eq=ALPHA", ""), ("name-eq=Beta", "Beta"), ("name_not_eq=alpha", "Beta gamma,1 delta alphabet"),
    ("name_cont=ALPHA", "alpha alphabet"), ("name_start=alph", "alpha alphabet"), ("name_start=lph", ""), ("name_end=TA", "Beta delta"),
    ("name_in=alpha,Beta", "alpha Beta"), ('name_in="gamma,1",delta', "gamma,1 delta"), ("name_in=alpha", "alpha"),
    ("name_not_in=alpha,Beta,delta", "gamma,1 alphabet"), ("name_cont_any=mma,lta", "gamma,1 delta"), ("name_in=", ""),
    ("domain_eq=one.example", "alpha gamma,1"), ("domain_eq=ONE.EXAMPLE", "alpha gamma,1"), ("domain_cont=one.ex", "alpha gamma,1 alphabet"),
    ("domain_not_eq=one.example", "Beta delta alphabet"), ("domain_in=one.example,two.example", "alpha Beta gamma,1"),
    ("domain_end=.example", "alpha Beta gamma,1 delta alphabet"), ("domain_start=sub", "alphabet"),
    ("username_eq=ann", "alpha gamma,1"), ("username_eq=Ann", "delta"), ("username_in=ann", "alpha gamma,1"), ("username_cont=ANN", "alpha gamma,1 delta"),
    ("username_eq=nobody", ""), ("contact_cont=192.0.2.9", "gamma,1"), ("contact_eq=sip:g@192.0.2.9", "gamma,1"),
    # null fulfils nothing
    ("auth_user_eq=u1", "alpha"), ("auth_user_not_eq=u1", "alphabet"), ("auth-user-in=u1,u2", "alpha alphabet"), ("auth_user_not_in=u1", "alphabet"),
    ("display_username_cont=bob", "Beta"), ("sip_interface_name_eq=wan", "delta"), ("sip-interface-name-start=w", "delta"),
    # numbers: eq, not_eq, gt, gteq, lt, lteq, in, not_in
    ("expire_eq=600", "gamma,1"), ("expire_not_eq=600", "alpha alphabet"), ("expire_gt=60", "gamma,1 alphabet"), ("expire_gteq=60", "alpha gamma,1 alphabet"),
    ("expire_lt=600", "alpha"), ("expire_lteq=600", "alpha gamma,1"), ("expire_in=60,3600", "alpha alphabet"), ("expire_not_in=60", "gamma,1 alphabet"),
    ("expire_eq=x", ""), ("max_attempts_gt=3", "alphabet"), ("retry_delay_eq=7", "Beta"), ("retry-delay-lt=7", "alpha gamma,1 delta alphabet"),
    ("sip_schema_id_eq=2", "gamma,1"), ("sip-schema-id-not-eq=1", "gamma,1"),
    # flags
    ("enabled_eq=false", "Beta"), ("enabled_eq=1", "alpha gamma,1 delta alphabet"), ("enabled_not_eq=t", "Beta"), ("force_expire_eq=true", "delta"),
    # keys
    ("pop_id_eq=1", "gamma,1"), ("pop_id_not_eq=2", "gamma,1"), ("pop_id_in=1,5", "gamma,1"), ("node_id_eq=2", "delta"), ("node-id-in=2", "delta"),
    ("pop_id_not_in=1", ""), ("transport_protocol_id_eq=2", "delta"), ("transport_protocol_id_not_eq=2", "alpha Beta gamma,1 alphabet"),
    # the state as last reported
    ("state_eq=pending", "alpha Beta gamma,1 delta alphabet"), ("state_in=registered,pending", "alpha Beta gamma,1 delta alphabet"),
    ("state_not_eq=pending", ""), ("state_eq=registered", ""),
    # all must hold
    ("username_eq=ann&filter[domain_eq]=one.example", "alpha gamma,1"), ("username_eq=ann&filter[expire_gt]=60", "gamma,1"),
    ("domain_eq=one.example&filter[name_cont]=ALPHA&filter[enabled_eq]=1", "alpha"), ("name_eq=alpha&filter[name_in]=Beta", ""),
    ("name_eq=alpha&filter[state_eq]=pending", "alpha"), ("name_eq=alpha&filter[state_eq]=retrying", ""),
]


@pytest.mark.parametrize("query, wanted", ROWS)
def test_a_filter(filled, query, wanted):
    """Contract 8.3: the operators of a family."""
    answer = filled.get(f"/registrations?filter[{query.replace('=', ']=', 1)}")
    assert names(answer) == wanted.split()
    assert answer.json["meta"]["total-count"] == len(wanted.split())


@pytest.mark.parametrize("query, wanted", [
    ("filter[username_eq]=ann&sort=-name", "gamma,1 alpha"), ("filter[name_cont]=a&sort=-expire,name&page[size]=2", "Beta delta"),
    ("filter[name_cont]=a&sort=-expire,name&page[size]=2&page[number]=2", "alphabet gamma,1"), ("filter[expire_gt]=0&sort=-id", "alphabet gamma,1 alpha"),
    ("filter[domain_eq]=one.example&sort=-id", "gamma,1 alpha"), ("filter[domain_eq]=one.example&page[size]=1&page[number]=2", "gamma,1"),
    ("filter[expire_gt]=0&page[size]=2&page[number]=2", "alphabet")])
def test_filters_sort_and_pages_work_together(filled, query, wanted):
    """Contract 8.1 to 8.3."""
    assert names(filled.get(f"/registrations?{query}")) == wanted.split()


def test_filter_id_goes_with_the_others(filled):
    """Contract 8.3: filters combine with AND."""
    listed = ",".join(filled.ids[:3])
    assert names(filled.get(f"/registrations?filter[id]={listed}&filter[name_cont]=A&filter[enabled_eq]=true")) == ["alpha", "gamma,1"]
    assert names(filled.get(f"/registrations?filter[id]={listed}&filter[username_eq]=eve")) == []
    assert names(filled.get(f"/registrations?filter[id_gt]={filled.ids[2]}")) == ["delta", "alphabet"]


def test_links_keep_the_filters(filled):
    """Contract 8.1: existing filters stand in the links."""
    links = filled.get("/registrations?filter[domain_eq]=one.example&page[size]=1").json["links"]
    assert links["next"].endswith("?filter%5Bdomain_eq%5D=one.example&page%5Bnumber%5D=2&page%5Bsize%5D=1")
    assert links["last"] == links["next"]


@pytest.mark.parametrize("query, value, name", [
    ("name_eq=a,b", "a,b", "name_eq"), ("name_cont=", "", "name_cont"), ("expire_gt=1,2", "1,2", "expire_gt"), ("enabled_eq=perhaps", "perhaps", "enabled_eq"),
    ("state_eq=registerd", "registerd", "state_eq"), ("state_in=registered,x", "registered,x", "state_in"), ("enabled_eq=true,false", "true,false", "enabled_eq")])
def test_a_value_that_a_filter_does_not_take(filled, query, value, name):
    """Contract 8.3: one value, else 400 with code 107; so are words that are no state and no flag."""
    answer = filled.get(f"/registrations?filter[{query.replace('=', ']=', 1)}")
    assert (answer.status, answer.errors) == (400, [("107", f"{value} is not a valid value for {name}.", None)])


def test_a_filter_sees_its_account_alone(filled, world):
    assert names(world.api().get("/registrations?filter[username_eq]=ann")) == []
    assert names(world.api().get("/registrations?filter[name_cont]=a")) == []


def test_a_filter_sees_what_was_written_before(world):
    """Indexes follow each write: create, change, delete."""
    api = world.api()
    id = api.create(name="x", username="old", domain="a.example")
    for query, wanted in (("username_eq=old", ["x"]), ("domain_eq=A.example", ["x"])):
        assert names(api.get(f"/registrations?filter[{query.replace('=', ']=')}")) == wanted
    api.patch(id, {"username": "new", "domain": "b.example", "name": "y"})
    for query, wanted in (("username_eq=old", []), ("domain_eq=a.example", []), ("name_eq=x", []), ("username_eq=new", ["y"]), ("name_eq=y", ["y"])):
        assert names(api.get(f"/registrations?filter[{query.replace('=', ']=')}")) == wanted
    assert api.call("DELETE", f"/registrations/{id}").status == 204
    for query in ("username_eq=new", "name_eq=y", "name_cont=y", "state_eq=pending"):
        assert names(api.get(f"/registrations?filter[{query.replace('=', ']=')}")) == []


def test_a_filter_on_the_state_reads_the_last_report(world):
    """By the index and without it: what was reported last, whether it is still believed or not."""
    api = world.api()
    ids = [api.create(name=f"s{i}") for i in range(3)]
    key = world.key(ids[1])
    account = world.redis.hget(key, "account")
    report = {"id": int(ids[1]), "account": account, "state": "retrying", "revision": 1, "since": 1, "epoch": 1, "seq": 1}
    world.redis.hset(key, mapping={"status": json.dumps(report), "state": "retrying"})
    prefix = key.rpartition("reg:")[0]
    world.redis.zrem(f"{prefix}acct:{account}:by:state:pending", ids[1])
    world.redis.zadd(f"{prefix}acct:{account}:by:state:retrying", {ids[1]: int(ids[1])})
    assert names(api.get("/registrations?filter[state_in]=retrying,rejected")) == ["s1"]
    assert names(api.get("/registrations?filter[state_eq]=retrying")) == ["s1"]
    assert names(api.get("/registrations?filter[state_not_eq]=retrying")) == ["s0", "s2"]
