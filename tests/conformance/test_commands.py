"""Commands: refresh now, flush, audit; and what a registrar that lost its memory is told. RFC 3261 10.2.2 to 10.2.4."""


def kinds(registrar, r):
    """Of each request: how many contacts, and with which expiry."""
    return [[c.expires for c in q.contacts] for q in registrar.requests(r.aor)]


def test_a_refresh_is_sent_now(registrant, registrar):
    """RFC 3261 10.2.4: a refresh is the same REGISTER again; nothing forbids it before it is due."""
    r = registrant.want(registrar)
    r.registered()
    r.command("refresh")
    report = r.wait("registered", revision=2)
    assert report["acted"]["refresh"] == 1 and kinds(registrar, r) == [[600], [600]]


def test_a_flush_unregisters_and_registers_anew(registrant, registrar):
    """RFC 3261 10.2.2, 10.2.1: the binding is removed by an expiry of 0, and made again."""
    r = registrant.want(registrar)
    r.registered()
    r.command("flush")
    report = r.wait("registered", revision=2)
    assert report["acted"]["flush"] == 1 and kinds(registrar, r) == [[600], [0], [600]]


def test_an_audit_asks_without_touching(registrant, registrar):
    """RFC 3261 10.2.3: a REGISTER without Contact is answered by all bindings and changes none."""
    r = registrant.prepare(registrar)
    registrar.bind(r.aor, "sip:desk@192.0.2.77")
    r.send()
    r.registered()
    expiry = registrar.bindings(r.aor)[1].expires_at
    r.command("audit")
    report = r.wait("registered", revision=2)
    asked = registrar.requests(r.aor)[-1]
    assert asked.contacts == [] and asked.expires is None and asked.header("contact") is None
    assert report["acted"]["audit"] == 1 and len(report["contacts"]) == 2
    assert any("desk@192.0.2.77" in text for text in report["contacts"])
    assert registrar.bindings(r.aor)[1].expires_at == expiry


def test_an_audit_restores_what_the_registrar_lost(registrant, registrar):
    """RFC 3261 10.2.3, 10.2.4: a binding that is not in the list is gone, whatever its lifetime was."""
    r = registrant.want(registrar)
    r.registered()
    registrar.forget()
    r.command("audit")
    registrar.wait(lambda: registrar.bindings(r.aor))
    assert kinds(registrar, r) == [[600], [], [600]]
    r.wait("registered", revision=2)


def test_a_refresh_restores_what_the_registrar_lost(registrant, registrar):
    """RFC 3261 10.2.4, 10.3 step 7: to the registrar it is a new binding."""
    r = registrant.want(registrar)
    r.registered()
    registrar.forget()
    r.command("refresh")
    r.wait("registered", revision=2)
    assert len(registrar.bindings(r.aor)) == 1


def test_a_cseq_that_is_too_low_is_raised(registrant, registrar):
    """RFC 3261 10.3 step 7: with the same Call-ID the CSeq must be higher than the registrar's; a higher one follows."""
    r = registrant.prepare(registrar)
    registrar.script(r.aor, [{"status": 500, "reason": "CSeq Out Of Order"}])
    r.send()
    r.registered()
    first, second = registrar.requests(r.aor)
    assert second.cseq > first.cseq and second.call_id == first.call_id


def test_disabled_is_unregistered_and_silent(registrant, registrar):
    """RFC 3261 10.2.2."""
    r = registrant.want(registrar)
    r.registered()
    r.change(enabled=False)
    report = r.wait("disabled", revision=2)
    assert "next_in_ms" not in report and registrar.bindings(r.aor) == [] and kinds(registrar, r) == [[600], [0]]


def test_a_removal_is_authenticated_too(registrant, guarded):
    """RFC 3261 10.3 step 3, 22.2: also the REGISTER that removes."""
    r = registrant.want(guarded)
    r.registered()
    guarded.digest.forget_nonces()
    r.remove()
    assert r.wait("unregistered")["removed"] == "answered" and guarded.bindings(r.aor) == []
    assert [q.auth_result for q in guarded.requests(r.aor)] == [None, "ok", "stale", "ok"]


def test_stopping_hands_over_without_unregistering(new_registrant, registrar):
    """RFC 3261 10.2.2 is for who wants to be gone: the next owner goes on with the same binding."""
    registrant = new_registrant()
    soon, late = registrant.want(registrar, expires=60), registrant.want(registrar)
    for r in (soon, late):
        r.registered()
    registrant.send({"stop": True})
    registrant.wait(lambda: registrant.stopped, 10, lambda: "a stop")
    assert soon.report["handover"] and "handover" not in late.report  # whose last report says all that is to be known
    assert [len(registrar.bindings(r.aor)) for r in (soon, late)] == [1, 1]
    assert [kinds(registrar, r) for r in (soon, late)] == [[[60]], [[600]]]
