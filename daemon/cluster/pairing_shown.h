/* SPDX-License-Identifier: Apache-2.0 */
/* Pairing as the new node, which shows the code and is dialled. */
#ifndef CLUSTER_PAIRING_SHOWN_H
#define CLUSTER_PAIRING_SHOWN_H

#include "cluster/pairing_impl.h"

/* Is a code open? Forgets one that has run out. */
bool pairing_is_shown(struct pairing *pairing);
/* Nobody can use it any more; an exchange under way ends. */
void pairing_hide(struct pairing *pairing);

#endif
