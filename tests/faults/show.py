#!/usr/bin/python3
"""Shows everything that a run's directory knows of one registration, by time: show.py DIRECTORY USER [SECONDS BEFORE THE END]"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import history as past  # noqa: E402
import timeline  # noqa: E402


def lines(history, user):
    for o in history.operations:
        if o.user == user:
            wanted = o.desired or {}
            yield o.sent_at, f"{o.kind:8} id {o.id} at {o.gateway}: {o.outcome} {o.status} after {o.ended_at - o.sent_at:.3f} s " + \
                " ".join(str(wanted.get(m)) for m in ("registrar", "contact", "expire", "auth_user", "pop", "enabled")) + \
                (" again" if o.again else "") + (f" {o.cause[:80]}" if o.cause else "")
    for r in history.registers:
        if timeline.user_of(r.aor) == user:
            asked = " ".join(f"{c['uri']};{c['expires']}" for c in r.contacts)
            bound = " ".join(f"{b['uri']};{b['until'] - r.t:.0f}" for b in r.bound)
            yield r.t, f"    REGISTER {r.registrar} from {r.source} {r.call_id[:8]} {r.cseq} as {r.user}: {asked} → {r.status} " \
                f"bound: {bound} {' '.join(r.mode) if r.mode != ['normal'] else ''}"
    for w in history.windows:
        yield w.begin, f"        ---- {w.fault} {w.detail} begins"
        if w.end:
            yield w.end, f"        ---- {w.fault} {w.detail} ends"


def main():
    history = past.load(sys.argv[1])
    least = -1 if len(sys.argv) < 4 else history.registers[-1].t - float(sys.argv[3])
    for at, text in sorted(lines(history, sys.argv[2])):
        if at >= least:
            print(f"{at:.3f} {text}")
    for event in history.final.events if history.final else ():
        if event["id"] in {o.id for o in history.operations if o.user == sys.argv[2]}:
            value = event["value"]
            status = value.get("status") or {}
            print(f"event of {event['id']}: {event['what']} revision {value.get('revision')} from {value.get('previous_state')} "
                  f"{status.get('node', '')} since {status.get('since_ms', '')}")


if __name__ == "__main__":
    main()
