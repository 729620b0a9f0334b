// The Yeti admin dialect: JSON:API documents under /api/rest/admin. A codec over the store: holds no state of
// its own but the requests under way. One object for each loop thread.
#ifndef ROLLCALL_GATEWAY_YETI_YETI_H
#define ROLLCALL_GATEWAY_YETI_YETI_H

#include "common/http/http.h"
#include "services/gateway/auth/password_worker.h"
#include "services/gateway/auth/principals.h"
#include "services/gateway/store/store.h"

#define YETI_PREFIX "/api/rest/admin"

struct yeti;

struct yeti_params {
    struct store *store;
    struct principals_box *principals;
    struct password_client *passwords;
    struct str token_secret;  // HS256 key
    int64_t token_lifetime_s; // 0: tokens do not expire
    bool clear_passwords;     // reads show auth-password in clear, as Yeti does; else the fixed mask
    bool trust_forwarded;     // X-Forwarded-For of a loopback peer is the client's address (contract 6.3)
};
struct yeti *yeti_new(const struct yeti_params *p);
void yeti_free(void *yeti);

// Takes every request whose path is below YETI_PREFIX and answers it exactly once.
void yeti_handle(void *yeti, struct http_request *r);

#endif
