// A registration of the least that passes the rules, for the tests of common/registration.
#ifndef ROLLCALL_TESTS_UNIT_REGISTRATION_FIXTURE_H
#define ROLLCALL_TESTS_UNIT_REGISTRATION_FIXTURE_H

#include "common/base/mem.h"
#include "common/registration/registration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// cmocka needs the three above
#include <cmocka.h>

static inline void set(char **field, const char *text)
{
    free(*field);
    *field = mem_dup_cstr(text);
}

// The least that passes the rules.
static inline void fill(struct registration *r)
{
    registration_init(r);
    r->id = 7;
    r->account = mem_dup_cstr("acme");
    r->domain = mem_dup_cstr("sip.example.com");
    r->username = mem_dup_cstr("alice");
    r->contacts[r->contact_count++] =
        (struct contact){.uri = mem_dup_cstr("sip:alice@192.0.2.1"), .expires = REGISTRATION_UNSET};
}

#endif
