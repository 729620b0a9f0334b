// What others send to our port. OPTIONS is answered, as whoever is reachable by a Contact must (RFC 3261 11);
// there is nothing else to serve here. Stateless: strangers cost no memory.
#include "services/registrant/sip/agent_private.h"

static void answer(nta_agent_t *nta, msg_t *msg, int status, const char *phrase, const char *user_agent)
{
    (void)nta_msg_treply(nta, msg, status, phrase, SIPTAG_ALLOW_STR("OPTIONS"),
                         TAG_IF(status == 200, SIPTAG_ACCEPT_STR("application/sdp")),
                         TAG_IF(status == 200, SIPTAG_SUPPORTED_STR("path")),
                         TAG_IF(user_agent, SIPTAG_SERVER_STR(user_agent)), TAG_END());
}

int incoming_message(struct agent *a, nta_agent_t *nta, msg_t *msg, sip_t *sip)
{
    a->active = true;
    if (!sip || !sip->sip_request) {
        msg_destroy(msg); // a late duplicate of a response, or somebody else's
        return 0;
    }
    switch (sip->sip_request->rq_method) {
    case sip_method_ack:
        msg_destroy(msg);
        break;
    case sip_method_options:
        answer(nta, msg, SIP_200_OK, a->user_agent);
        break;
    case sip_method_cancel:
        answer(nta, msg, SIP_481_NO_TRANSACTION, a->user_agent);
        break;
    default:
        if (sip->sip_to->a_tag) // a dialog that we never had (12.2.2)
            answer(nta, msg, SIP_481_NO_TRANSACTION, a->user_agent);
        else
            answer(nta, msg, SIP_405_METHOD_NOT_ALLOWED, a->user_agent);
        break;
    }
    return 0;
}
