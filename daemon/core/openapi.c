/* SPDX-License-Identifier: Apache-2.0 */
#include "core/openapi.h"

#include <errno.h>

#include "core/json_skim.h"
#include "core/template.h"

#define REF_PROBLEM "{\"$ref\":\"#/components/responses/Problem\"}"

static const char tail[] =
        "},\"components\":{"
        "\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
        "\"responses\":{\"Problem\":{\"description\":\"It could not be done; the document says "
        "why.\",\"content\":{"
        "\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}},"
        "\"schemas\":{\"Problem\":{\"type\":\"object\",\"description\":\"RFC "
        "9457\",\"required\":[\"type\",\"title\","
        "\"status\"],\"properties\":{\"type\":{\"type\":\"string\",\"format\":\"uri\"},\"title\":{\"type\":"
        "\"string\"},"
        "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},\"instance\":{\"type\":"
        "\"string\"}}}}},"
        "\"security\":[{\"key\":[]},{}]}\n";

struct printer {
	struct buf *out;
	int r;            /* the first failure */
	const char *path; /* of the open path item, NULL: none is open */
	uint32_t methods; /* that it has already, bits of the table below */
};

static const struct {
	const char *method, *member;
	bool for_all; /* shown for a route whose method is "*" */
} methods[] = {
	{ "GET", "get", true },
	{ "PUT", "put", true },
	{ "POST", "post", true },
	{ "DELETE", "delete", true },
	{ "PATCH", "patch", true },
	{ "TRACE", "trace", false },
};

static void put(struct printer *printer, const char *text)
{
	if (!printer->r)
		printer->r = buf_add_str(printer->out, text);
}

static void put_slice(struct printer *printer, struct edged_slice text)
{
	if (!printer->r)
		printer->r = buf_add(printer->out, text.ptr, text.len);
}

static void put_json(struct printer *printer, struct edged_slice text)
{
	if (!printer->r)
		printer->r = buf_add_json(printer->out, text);
}

/* --- path items ----------------------------------------------------------------------------------------------- */

/* The template as OpenAPI writes it: {rest...} is {rest}. */
static void put_path(struct printer *printer, const char *path)
{
	CLEANUP(buf_fini) struct buf text = BUF_EMPTY;
	struct edged_slice part;
	enum template_kind kind;
	while (!printer->r && (kind = template_next(&path, &part)) != TEMPLATE_END)
		printer->r = buf_addf(
		        &text, kind == TEMPLATE_LITERAL ? "/%.*s" : "/{%.*s}", EDGED_SLICE_FMT(part));
	put_json(printer, buf_slice(&text));
}

static void put_parameters(struct printer *printer, const char *path)
{
	struct edged_slice part;
	enum template_kind kind;
	const char *separator = "\"parameters\":[";
	bool any = false;
	while ((kind = template_next(&path, &part)) != TEMPLATE_END) {
		if (kind == TEMPLATE_LITERAL)
			continue;
		put(printer, separator);
		put(printer, "{\"name\":");
		put_json(printer, part);
		put(printer, ",\"in\":\"path\",\"required\":true,");
		if (kind == TEMPLATE_REST)
			put(printer, "\"description\":\"The rest of the path; may hold slashes.\",");
		put(printer, "\"schema\":{\"type\":\"string\"}}");
		separator = ",";
		any = true;
	}
	if (any)
		put(printer, "],");
}

static void open_path(struct printer *printer, const char *path)
{
	if (printer->path && template_compare(printer->path, path) == 0)
		return;
	put(printer, printer->path ? "}," : "");
	put_path(printer, path);
	put(printer, ":{");
	put_parameters(printer, path);
	printer->path = path;
	printer->methods = 0;
}

/* --- operations ----------------------------------------------------------------------------------------------- */

/* "get_things_thing_shadow" */
static void put_operation_id(struct printer *printer, const char *member, const char *path)
{
	put(printer, "\"operationId\":\"");
	put(printer, member);
	for (struct edged_slice part; template_next(&path, &part) != TEMPLATE_END;) {
		put(printer, "_");
		for (size_t i = 0; i < part.len; i++) {
			char c = part.ptr[i];
			bool plain =
			        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
			put_slice(printer, edged_slice(plain ? &c : "_", 1));
		}
	}
	put(printer, "\"");
}

/* The route's own responses, to which the problem document is added. */
static void put_responses(struct printer *printer, struct edged_slice own)
{
	if (!own.ptr || !json_skim_object(own)) {
		put(printer,
		        ",\"responses\":{\"2XX\":{\"description\":\"Done.\"},\"default\":" REF_PROBLEM "}");
		return;
	}
	put(printer, ",\"responses\":{");
	const char *separator = "";
	if (!json_skim_find(own, "default").ptr) {
		put(printer, "\"default\":" REF_PROBLEM);
		separator = ",";
	}
	for (struct edged_slice key, value; json_skim_member(&own, &key, &value); separator = ",") {
		put(printer, separator);
		put_slice(printer, key);
		put(printer, ":");
		put_slice(printer, value);
	}
	put(printer, "}");
}

static void put_own_members(struct printer *printer, struct edged_slice own)
{
	for (struct edged_slice key, value; own.ptr && json_skim_member(&own, &key, &value);) {
		if (edged_slice_is(key, "\"responses\"") || edged_slice_is(key, "\"tags\""))
			continue; /* have been written */
		put(printer, ",");
		put_slice(printer, key);
		put(printer, ":");
		put_slice(printer, value);
	}
}

static bool has(struct edged_slice own, const char *key)
{
	return own.ptr && json_skim_find(own, key).ptr;
}

static void put_operation(
        struct printer *printer, size_t i, const struct route_owner *owner, const struct edged_route *route)
{
	if (printer->methods & 1u << i)
		return;
	struct edged_slice own = edged_str(route->openapi);
	if (!route->openapi || !json_skim_object(own))
		own = edged_slice(NULL, 0);
	put(printer, printer->methods ? ",\"" : "\"");
	put(printer, methods[i].member);
	put(printer, "\":{");
	printer->methods |= 1u << i;
	if (has(own, "tags")) {
		put(printer, "\"tags\":");
		put_slice(printer, json_skim_find(own, "tags"));
	} else {
		put(printer, "\"tags\":[");
		put_json(printer, edged_str(owner->name));
		put(printer, "]");
	}
	if (!has(own, "operationId")) {
		put(printer, ",");
		put_operation_id(printer, methods[i].member, route->path);
	}
	if (route->summary && !has(own, "summary")) {
		put(printer, ",\"summary\":");
		put_json(printer, edged_str(route->summary));
	}
	put_responses(printer, own.ptr ? json_skim_find(own, "responses") : own);
	put_own_members(printer, own);
	put(printer, "}");
}

static void print_route(void *arg, const struct route_owner *owner, const struct edged_route *route)
{
	struct printer *printer = arg;
	bool all = strcmp(route->method, "*") == 0;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (!(all ? methods[i].for_all : strcmp(route->method, methods[i].method) == 0))
			continue;
		open_path(printer, route->path);
		put_operation(printer, i, owner, route);
	}
}

int openapi_print(const struct router *router, const char *version, struct buf *out)
{
	struct printer printer = { .out = out };
	put(&printer, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"edged\",\"version\":");
	put_json(&printer, edged_str(version));
	put(&printer, ",\"description\":\"What this node serves right now: its own paths and those of its "
	              "plugins.\"},"
	              "\"paths\":{");
	router_each(router, print_route, &printer);
	put(&printer, printer.path ? "}" : "");
	put(&printer, tail);
	return printer.r;
}
