/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node ids: SHA-256 of the node's public key in base32 (RFC 4648 alphabet, lower case, 52 characters) in four groups of
 * 13, each followed by one check character (Luhn mod 32): 56 characters, so that a mistyped id is told apart from
 * an unknown one. Pure.
 *
 * What is hashed is the compressed point (SEC 1 section 2.3.3: 33 bytes for P-256), not the whole SubjectPublicKeyInfo:
 * that is what small datagrams between nodes carry, so the id follows from them without any curve arithmetic.
 * An account's id is made the same way from the public key of its CA.
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
