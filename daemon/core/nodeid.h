/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node ids: SHA-256 of the node's public key in base32 (RFC 4648 alphabet, lower case, 52 characters) in four groups of
 * 13, each followed by one check character (Luhn mod 32): 56 characters, so that a mistyped id is told apart from
 * an unknown one. Pure.
 */
#ifndef CORE_NODEID_H
#define CORE_NODEID_H

#include <stdbool.h>
#include <stdint.h>
#include "edged/slice.h"

enum { NODE_ID_LEN = 56 };

/* From the 32-byte hash; ret gets NODE_ID_LEN characters and a NUL. */
void node_id_format(const uint8_t hash[32], char ret[NODE_ID_LEN + 1]);
/* Well-formed, with right check characters? Upper case is accepted by nobody: ids are compared as bytes. */
bool node_id_valid(struct edged_slice id);
bool node_id_parse(struct edged_slice id, uint8_t ret_hash[32]);

#endif
