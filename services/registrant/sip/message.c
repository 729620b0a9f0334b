// See message.h. Refuses to mend: what cannot be read is dropped whole.
#include "services/registrant/sip/message.h"

#include "common/sip/uri.h"

#include <pthread.h>

#define MAX_ELEMENTS 2048 // a registrar that lists five hundred contacts stays below

static void discard_log(void *stream, char const *fmt, va_list ap)
{
    (void)stream, (void)fmt, (void)ap;
}

static void start(void)
{
    (void)su_init();
    // Libraries do not log; what matters comes back as an answer.
    su_log_redirect(su_log_default, discard_log, NULL);
    su_log_redirect(su_log_global, discard_log, NULL);
}

void message_library_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start);
}

// Of these there is one (7.3.1): two of them would let two readers take the message for different things.
static const struct {
    const char *name, *compact;
} singles[] = {{"From", "f"}, {"To", "t"}, {"Call-ID", "i"}, {"CSeq", "CSeq"}, {"Content-Length", "l"}};

static bool repeats_a_single(struct str text)
{
    struct str rest = message_headers(text), name, value;
    unsigned seen = 0;
    while (message_header_next(&rest, &name, &value))
        for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
            if (!str_ieq_cstr(name, singles[i].name) && !str_ieq_cstr(name, singles[i].compact))
                continue;
            if (seen & 1u << i)
                return true;
            seen |= 1u << i;
        }
    return false;
}

static bool is_whole(const sip_t *sip, struct str text)
{
    if (!sip || (!sip->sip_request && !sip->sip_status) || sip->sip_flags & (MSG_FLG_ERROR | MSG_FLG_TRUNC))
        return false;
    if (str_find_str(text, STR_LIT("\r\n\r\n")) == text.n) // 7: cut off, and who knows what with it
        return false;
    size_t body = sip->sip_payload ? sip->sip_payload->pl_len : 0;
    if (sip->sip_content_length && sip->sip_content_length->l_length > body)
        return false;
    // What sofia could not place it has put among the errors.
    return sip_sanity_check(sip) == 0 && !(sip->sip_error && repeats_a_single(text));
}

size_t message_elements(struct str text)
{
    size_t count = 0, from = 0;
    while (from < text.n && (text.p[from] == '\r' || text.p[from] == '\n')) // sofia skips them, too
        from++;
    text = str_slice(text, from, text.n);
    text = str_slice(text, 0, str_find_str(text, STR_LIT("\r\n\r\n")));
    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '\r' || text.p[i] == '\n' || text.p[i] == ',';
    return count;
}

msg_t *message_parse(struct str text)
{
    if (message_elements(text) > MAX_ELEMENTS)
        return NULL;
    msg_t *msg = msg_make(sip_default_mclass(), MSG_DO_EXTRACT_COPY, text.p, (ssize_t)text.n);
    if (msg && is_whole(sip_object(msg), text))
        return msg;
    msg_destroy(msg);
    return NULL;
}

struct str message_headers(struct str message)
{
    return str_slice(message, str_find(message, '\n', 0) + 1, message.n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool message_header_next(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    if (!rest->n || rest->p[0] == '\r' || rest->p[0] == '\n')
        return false;
    size_t end = str_find(*rest, '\n', 0);
    while (end + 1 < rest->n && is_blank(rest->p[end + 1]))
        end = str_find(*rest, '\n', end + 1);
    struct str line = str_slice(*rest, 0, end);
    size_t colon = str_find(line, ':', 0);
    *ret_name = str_trim(str_slice(line, 0, colon));
    *ret_value = str_trim(str_slice(line, colon + 1, line.n));
    *rest = str_slice(*rest, end + 1, rest->n);
    return true;
}

bool message_has_via(struct str message)
{
    struct str rest = message_headers(message), name, value;
    while (message_header_next(&rest, &name, &value))
        if (str_ieq_cstr(name, "Via") || str_ieq_cstr(name, "v"))
            return true;
    return false;
}

bool message_is_hostport(struct str text, const char *host, const char *port)
{
    struct str h = str_of(host), p = str_of(port);
    return text.n == h.n + 1 + p.n && text.p[h.n] == ':' && str_starts(text, h) && str_ends(text, p);
}

void message_add_unfolded(struct buf *out, struct str value)
{
    size_t from = out->n;
    buf_add_str(out, value);
    for (size_t i = from; i < out->n; i++)
        if (out->p[i] == '\r' || out->p[i] == '\n')
            out->p[i] = ' ';
}
