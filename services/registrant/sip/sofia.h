// The one place that includes sofia-sip's parser: messages, not its transactions, transports or loop. Only .c
// files of this folder include it.
#ifndef ROLLCALL_REGISTRANT_SIP_SOFIA_H
#define ROLLCALL_REGISTRANT_SIP_SOFIA_H

#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/sip_util.h>
#include <sofia-sip/su.h>
#include <sofia-sip/su_log.h>

#endif
