// Scripts by digest, and by text where Redis lost them (a restart, SCRIPT FLUSH, another master).
#include "common/base/encode.h"
#include "common/base/mem.h"
#include "common/redis/conn.h"

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

static bool knows(const struct redis_conn *c, const struct redis_script *s)
{
    for (size_t i = 0; i < c->known_count; i++)
        if (c->known[i] == s)
            return true;
    return false;
}

// The arguments after the digest are the same for both commands and so is their count: only the head differs.
static void write_whole(struct redis_conn *c, struct redis_call *call)
{
    cleanup(buf_done) struct buf head = BUF_INIT;
    buf_addf(&head, "*%zu\r\n$4\r\nEVAL\r\n$%zu\r\n", call->script_argc, call->script->text.n);
    (void)bufferevent_write(c->socket, head.p, head.n);
    (void)bufferevent_write(c->socket, call->script->text.p, call->script->text.n);
    (void)bufferevent_write(c->socket, "\r\n", 2);
    (void)bufferevent_write(c->socket, call->script_tail, call->script_tail_bytes);
    call->script = NULL; // a second refusal is an answer
}

bool redis_script_send_whole(struct redis_conn *c, struct redis_call *call)
{
    if (knows(c, call->script) || c->known_count == REDIS_KNOWN_SCRIPTS)
        return false;
    c->known[c->known_count++] = call->script;
    write_whole(c, call);
    return true;
}

bool redis_script_resend(struct redis_conn *c, struct redis_call *call, const struct redis_value *v)
{
    if (!call->script || c->state != REDIS_UP || !str_starts(redis_str(v), STR_LIT("NOSCRIPT")))
        return false;
    redis_conn_asking(c, call);
    write_whole(c, call);
    redis_conn_queue(c, call);
    return true;
}
