// Scripts by digest, and by text where Redis lost them (a restart, SCRIPT FLUSH, another master).
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/redis/internal.h"

#include <event2/bufferevent.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

void redis_script_init(struct redis_script *s, const char *name, struct str text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int bytes = 0;
    if (!EVP_Digest(text.p, text.n, digest, &bytes, EVP_sha1(), NULL))
        abort(); // only when memory is out or OpenSSL has no SHA-1 at all
    cleanup(buf_done) struct buf hex = BUF_INIT;
    encode_hex(&hex, digest, bytes);
    s->name = name;
    s->text = text;
    memcpy(s->sha1_hex, hex.p, sizeof(s->sha1_hex));
}

void redis_script(struct redis *r, const struct redis_script *s, redis_fn *fn, void *arg, size_t key_count,
                  size_t argc, const struct str *argv)
{
    if (r->state != REDIS_UP) {
        redis_command(r, fn, arg, 0, NULL);
        return;
    }
    cleanup(buf_done) struct buf keys = BUF_INIT;
    buf_add_u64(&keys, key_count);
    struct str *whole = mem_array(argc + 3, sizeof(*whole));
    whole[0] = STR_LIT("EVALSHA");
    whole[1] = str_of(s->sha1_hex);
    whole[2] = buf_str(&keys);
    for (size_t i = 0; i < argc; i++)
        whole[i + 3] = argv[i];
    struct redis_call *call = redis_call_new(fn, arg);
    call->script = s;
    redis_send(r, call, argc + 3, whole);
    free(whole);
}

// The arguments after the digest are the same for both commands and so is their count: only the head differs.
bool redis_script_resend(struct redis *r, struct redis_call *call, const struct redis_value *v)
{
    if (!call->script || r->state != REDIS_UP || !str_starts(redis_str(v), STR_LIT("NOSCRIPT")))
        return false;
    cleanup(buf_done) struct buf head = BUF_INIT;
    buf_addf(&head, "*%zu\r\n$4\r\nEVAL\r\n$%zu\r\n", call->script_argc, call->script->text.n);
    (void)bufferevent_write(r->socket, head.p, head.n);
    (void)bufferevent_write(r->socket, call->script->text.p, call->script->text.n);
    (void)bufferevent_write(r->socket, "\r\n", 2);
    (void)bufferevent_write(r->socket, call->script_tail, call->script_tail_bytes);
    call->script = NULL; // a second refusal is an answer
    call->sent_us = clock_monotonic_us();
    STAILQ_INSERT_TAIL(&r->sent, call, link);
    r->sent_count++;
    redis_arm_deadline(r);
    return true;
}
