"""What a client hears when the gateway stops: every request that was taken is answered, in the API's own form."""
import signal
import threading

from stack import wait_for
from voximplant_client import Vox, add_accounts, new_vox

PRINCIPALS = add_accounts


def test_requests_under_way_are_answered_when_the_gateway_stops(world):
    vox = new_vox(world)
    ids = [vox.create() for _ in range(4)]
    answers, begun = [], threading.Barrier(5)

    def ask(id):
        mine = Vox(world.gateway.port, vox.number, vox.kid)
        begun.wait()
        try:
            for i in range(10000):
                answers.append(mine.call("BindSipRegistration", sip_registration_id=id, application_id=12, user_id=9 + i % 2))
        except OSError:
            return  # closed between two requests: the last answer said so
        except Exception as e:  # noqa: BLE001
            answers.append(e)

    threads = [threading.Thread(target=ask, args=(id,)) for id in ids]
    for t in threads:
        t.start()
    begun.wait()
    wait_for(lambda: len(answers) >= 40, 20, "answers")
    world.gateway.signal(signal.SIGTERM)
    for t in threads:
        t.join()
    assert world.gateway.child.wait(20) == 0
    for a in answers:
        assert a.status == 200 and (a.json == {"result": 1} or a.code == 4), a
