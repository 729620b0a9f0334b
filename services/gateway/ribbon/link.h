// What ties a registration to the entry and the server row that it comes from: labels of the registration.
// Pure.
//   "ribbon": {"entry":"3:1","server":"2:1","made":"<8 hex digits a group>","prefix":"SBC1a2b","turn":4}
//   "index": {"ribbon-entry":"3:1","ribbon-table":"3"}
#ifndef ROLLCALL_GATEWAY_RIBBON_LINK_H
#define ROLLCALL_GATEWAY_RIBBON_LINK_H

#include "common/registration/registration.h"

#define INDEX_ENTRY "ribbon-entry"
#define INDEX_TABLE "ribbon-table"

// A row of a table: "table:row".
struct row_id {
    uint64_t table, row;
};
#define ROW_ID_BYTES 48
struct str row_id_text(struct row_id id, char ret[ROW_ID_BYTES]);
bool row_id_parse(struct str text, struct row_id *ret);
int row_id_compare(struct row_id a, struct row_id b);

// Parts of a registration that are derived, and changed, as one.
enum group {
    GROUP_TARGET,      // domain, registrar, transport
    GROUP_AOR,         // scheme, user, address of record
    GROUP_CONTACTS,    //
    GROUP_EXPIRES,     //
    GROUP_RETRY,       //
    GROUP_CREDENTIALS, //
    GROUP_QUIRKS,      //
    GROUP_COUNT
};
// Digests of what was derived last: a part whose digest stays is left as it is, so what other dialects
// changed of it stays too. 0: not known, never a digest.
struct made {
    uint32_t of[GROUP_COUNT];
};

#define PREFIX_BYTES 8
struct link {
    struct row_id entry, server;
    struct made made;
    char prefix[PREFIX_BYTES]; // of ContactURIRandomizer; empty: none yet
    uint64_t turn;             // raised to make a revision where nothing else changes
};
// False: another dialect's registration.
bool link_read(const char *labels, struct link *ret);
// Into r's labels in place of what stood there; members of others stay.
void link_store(const struct link *l, struct registration *r);

#endif
