// The parameters of a request, from query string and body (contract voximplant 1, 4.3 to 4.6): texts by name,
// and the readings that several methods share. Empty means absent.
#ifndef ROLLCALL_GATEWAY_VOXIMPLANT_PARAMS_H
#define ROLLCALL_GATEWAY_VOXIMPLANT_PARAMS_H

#include "common/http/http.h"
#include "services/gateway/voximplant/codes.h"

// A name that is in both has the body's value.
struct params {
    struct http_pairs body, query;
};

// Body forms: multipart/form-data, application/x-www-form-urlencoded, a JSON object; no body. False: what is
// there cannot be read.
must_use bool vox_params_read(struct params *ret, const struct http_request *r, struct fault *fault);
void vox_params_done(struct params *p);

// All borrow from the params.
struct str vox_params_get(const struct params *p, const char *name); // STR_NONE: absent or empty
bool vox_params_clears(const struct params *p, const char *name);    // given, and empty

// The same as numbers and flags. *ret is left alone where the parameter is absent. False: it cannot be read.
must_use bool vox_params_id(const struct params *p, const char *name, uint64_t *ret, struct fault *fault);
must_use bool vox_params_count(const struct params *p, const char *name, uint64_t *ret, struct fault *fault);
must_use bool vox_params_flag(const struct params *p, const char *name, bool *ret, struct fault *fault);
enum choice { CHOICE_ANY, CHOICE_FALSE, CHOICE_TRUE };
must_use bool vox_params_choice(const struct params *p, const char *name, enum choice *ret,
                                struct fault *fault);

// Lists, separated by ';'. "any" and "all" stand for no list: count 0.
struct id_list {
    uint64_t *items;
    size_t count;
};
struct text_list {
    struct str *items;
    size_t count;
};
must_use bool vox_params_ids(const struct params *p, const char *name, struct id_list *ret,
                             struct fault *fault);
must_use bool vox_params_texts(const struct params *p, const char *name, struct text_list *ret,
                               struct fault *fault);

bool vox_ids_have(const struct id_list *l, uint64_t id);
bool vox_texts_have(const struct text_list *l, struct str text);

#endif
