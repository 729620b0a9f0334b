// The envelope and its elements, byte for byte as clients slice them (contract ribbon 3.1): own writer,
// because a library would lay them out as it pleases. Appends; escapes what it is given. Pure.
#ifndef ROLLCALL_GATEWAY_RIBBON_XML_H
#define ROLLCALL_GATEWAY_RIBBON_XML_H

#include "common/base/buf.h"

enum xml_layout { XML_LEGACY, XML_CLEAN };

// <root> and <status> with its number. A legacy document begins with a line break.
void xml_begin(struct buf *out, enum xml_layout layout, unsigned http_code);
// The status, which has no application error, is complete.
void xml_end_status(struct buf *out);
// The same with one: `params` joined by '|'.
void xml_end_status_error(struct buf *out, struct str href, unsigned app_code, struct str params);
void xml_end(struct buf *out);

void xml_item_begin(struct buf *out, const char *resource, struct str id, struct str href);
void xml_field(struct buf *out, const char *name, struct str value);
void xml_item_end(struct buf *out, const char *resource);

void xml_list_begin(struct buf *out, const char *resource, struct str href);
void xml_link(struct buf *out, const char *resource, struct str id, struct str href);
void xml_list_end(struct buf *out, const char *resource);

#endif
