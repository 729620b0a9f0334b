// The attribute `sip`, an addition: what of the model's SIP side Yeti has no attribute for, as one object.
#ifndef ROLLCALL_GATEWAY_YETI_SIP_H
#define ROLLCALL_GATEWAY_YETI_SIP_H

#include "common/registration/registration.h"
#include "services/gateway/yeti/errors.h"

enum sip_member {
    SIP_AOR,
    SIP_FROM,
    SIP_REGISTRAR,
    SIP_CONTACTS,
    SIP_CREDENTIALS,
    SIP_RETRY_SHAPE,
    SIP_COUNT
};

struct sip_given {
    unsigned members;         // bits: given, be it as null
    struct registration held; // their values alone; all else is zero
};

// Appends the object. Secrets are masked always.
void sip_show(struct buf *out, const struct registration *r);

// The form of what a write gives. A mask stands for what `before` (NULL: nothing) holds of the same realm.
// False: *errors names each member at fault.
bool sip_read(struct sip_given *ret_init, const struct json *object, const struct registration *before,
              struct errors *errors);
void sip_given_done(struct sip_given *s);
bool sip_gives(const struct sip_given *s, enum sip_member member);

// Puts what is given into r, whose first contact is the attribute's.
void sip_put(const struct sip_given *s, struct registration *r);

// Names what the model's rules said of `field` of r in their own sentence. False: it is no member of `sip`.
bool sip_refuse(const struct registration *r, const char *field, const char *sentence, struct errors *errors);

// An error of the member, or of what stands below it: "contacts/0/uri".
void sip_error(struct errors *errors, const char *path, const char *message);

#endif
