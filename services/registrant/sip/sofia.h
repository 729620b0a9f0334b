// The one place that includes sofia-sip, so that every file sees its callback types with our own argument
// types. Only .c files of this folder include it.
#ifndef ROLLCALL_REGISTRANT_SIP_SOFIA_H
#define ROLLCALL_REGISTRANT_SIP_SOFIA_H

struct agent;
struct agent_watch;
struct transaction;

#define SU_ROOT_MAGIC_T      struct agent
#define SU_WAKEUP_ARG_T      struct agent_watch
#define NTA_AGENT_MAGIC_T    struct agent
#define NTA_OUTGOING_MAGIC_T struct transaction

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_header.h>
#include <sofia-sip/nta.h>
#include <sofia-sip/nta_stateless.h>
#include <sofia-sip/nta_tport.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_tag.h>
#include <sofia-sip/sresolv.h>
#include <sofia-sip/su.h>
#include <sofia-sip/su_log.h>
#include <sofia-sip/su_wait.h>
#include <sofia-sip/tport.h>
#include <sofia-sip/tport_tag.h>
#include <sofia-sip/url.h>

#endif
