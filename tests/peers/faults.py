"""Whether a part of Rollcall died of a mistake of its own: nobody might ask it again, and a test would pass all the same."""
import re
import signal

CRASHES = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL}
REPORT = re.compile(r"(?:ERROR|WARNING): \w+Sanitizer|\.[ch]:\d+:\d+: runtime error:")
REPORT_CHARACTERS = 4000


def fault_of(part):
    """What shows it, None where nothing does."""
    log = part.log_text()
    report = REPORT.search(log)
    if report:
        return f"{part.name}: {log[report.start():report.start() + REPORT_CHARACTERS]}"
    if part.child is not None and part.child.poll() in CRASHES:
        return f"{part.name} ended by signal {-part.child.returncode}; its log ends with:\n{log[-REPORT_CHARACTERS:]}"
    return None


def stop_without_faults(stack):
    """Stops every part; a part that died of a mistake, now or before, fails the run."""
    parts = list(stack.parts)
    stack.stop()
    faults = [fault for fault in map(fault_of, parts) if fault]
    assert not faults, "\n".join(faults)
