/* ids_text: token ids as people write them: 1,2,3 */
#ifndef PUMICE_APP_IDS_TEXT_H
#define PUMICE_APP_IDS_TEXT_H

#include "tokenizer/tokenizer.h"

/* Appends the ids in `text`, separated by commas or spaces. Fails ARGUMENT for anything else or for none at
 * all. */
enum pumice_status ids_of_text(const char *text, struct ids *out);

#endif
