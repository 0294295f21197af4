/* jinja_unicode: what Python's str methods know of characters: white space, case, what repr shows as it is.
 *
 * Owns the generated case tables (jinja_unicode_tables.h, see make_jinja_tables.py). Pure. Characters are code points
 * as unicode_decode gives them; broken bytes map to themselves. */
#ifndef PUMICE_JINJA_UNICODE_H
#define PUMICE_JINJA_UNICODE_H

#include "../runtime/base.h"

enum jinja_case { JINJA_LOWER, JINJA_UPPER, JINJA_TITLE };

bool jinja_is_space(uint32_t cp);     /* str.isspace, what strip() takes */
bool jinja_is_printable(uint32_t cp); /* str.isprintable */
/* Up to three characters; returns how many. Final sigma is the caller's work. */
size_t jinja_map_case(uint32_t cp, enum jinja_case to, uint32_t out[3]);
bool jinja_is_cased(uint32_t cp);
bool jinja_is_case_ignorable(uint32_t cp);
bool jinja_is_upper(uint32_t cp);
bool jinja_is_lower(uint32_t cp);

#endif
