// Change records and snapshot lines, and with them the specification and the report: nothing read is half
// read, and a specification that was read is written and read again as the same bytes.
#include "services/registrant/shard/change.h"
#include "tests/fuzz/target.h"

static void check_spec(const struct registration *r)
{
    struct buf once cleanup(buf_done) = BUF_INIT, twice cleanup(buf_done) = BUF_INIT;
    struct json *json cleanup(json_free_ptr) = NULL;
    struct registration again;
    registration_write(&once, r);
    HOLDS(json_parse(buf_str(&once), &(struct json_limits){.max_bytes = 8u << 20, .max_depth = 64}, &json,
                     NULL) == 0);
    HOLDS(registration_read(json, &again, NULL) == 0);
    registration_write(&twice, &again);
    HOLDS(str_eq(buf_str(&once), buf_str(&twice)));
    registration_done(&again);
    const char *field = NULL;
    (void)!registration_check(r, &field, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of_bytes(data, size);
    struct sip_command *c;
    uint64_t count;
    (void)change_is_closing(text, &count);
    if (change_read(text, STR_NONE, false, &c, NULL))
        return 0;
    if (c->has_reg)
        check_spec(&c->reg);
    if (c->has_last) {
        struct buf out cleanup(buf_done) = BUF_INIT;
        status_write(&out, &c->last);
        HOLDS(out.n > 0);
    }
    sip_command_free(c);
    return 0;
}
