/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/owner.h"

#include <stdio.h>
#include <string.h>
#include "cluster/identity.h"
#include "cluster/removal.h"

bool owner_asks(struct requests *requests, edged_handle request)
{
	const struct edged_peer *peer = request_peer(requests, request);
	if (peer && peer->loopback && !peer->tls && !peer->node_id && request_hops(requests, request) == 0)
		return true;
	(void)request_problem(requests, request, 403, "owner-only",
	        "Only the owner may do this, on the node itself",
	        "Call it on the node's own Unix socket or loopback address, as edgectl does.");
	return false;
}

/* ", or on one of its signers: ID, ID", each by the start of its id, which edgectl takes as well. */
static void name_signers(const struct identity *identity, char *ret, size_t size)
{
	const struct removal_list *list = identity_removed(identity);
	size_t n = 0;
	ret[0] = '\0';
	for (unsigned i = 0; i < list->signer_count && n < size; i++) {
		char id[NODE_ID_LEN + 1];
		node_id_format(list->signers[i].id, id);
		n += (size_t)snprintf(
		        ret + n, size - n, "%s%.12s", i ? ", " : ", or on one of its signers: ", id);
	}
}

int owner_key_elsewhere(struct requests *requests, edged_handle request, const struct identity *identity,
        const char *title, bool signers)
{
	const char *account = identity_account_id(identity), *holder = identity_ca_holder(identity);
	char others[SIGNERS_MAX * 14 + 64] = "";
	if (signers)
		name_signers(identity, others, sizeof(others));
	if (strcmp(holder, identity_node_id(identity)) == 0)
		return request_problemf(requests, request, 409, "account-key-elsewhere", title,
		        "The key of account %s, ca.pem, is off line: to have it back, stop this node, put "
		        "the "
		        "file into the folder identity of its state folder, and start it. Then run edgectl "
		        "here%s.",
		        account, others);
	return request_problemf(requests, request, 409, "account-key-elsewhere", title,
	        "Account %s has its key on node %s. Run edgectl there%s.", account, holder, others);
}

bool owner_names_node(struct requests *requests, edged_handle request,
        bool (*find)(void *arg, struct edged_slice id, struct node_record *ret, bool *ret_ambiguous),
        void *arg, struct node_record *ret)
{
	struct edged_slice id = request_param(requests, request, "id");
	bool ambiguous = false;
	*ret = (struct node_record){ .self = false };
	if (find(arg, id, ret, &ambiguous))
		return true;
	if (node_id_valid(id)) {
		memcpy(ret->id, id.ptr, NODE_ID_LEN);
		return true;
	}
	(void)request_problemf(requests, request, ambiguous ? 409 : 404,
	        ambiguous ? "node-ambiguous" : "node-unknown",
	        ambiguous ? "Several nodes fit" : "No such node",
	        "Use %s id of the node, 56 characters, as GET /mds/v1/nodes?clusters=linkLocal lists it "
	        "while the node is there.",
	        ambiguous ? "the whole" : "the");
	return false;
}
