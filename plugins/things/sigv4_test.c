/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signature Version 4: the requests of AWS's own test suite ("aws-sig-v4-test-suite") and its documentation, those of IoT, and
 * everything that is not as it was signed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "sigv4.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define DATE   "20150830T123600Z"
enum { AT = 1440938160 };

/* A request out of text: METHOD TARGET, fields, an empty line, body. */
struct request {
	struct edged_http_message message;
	struct edged_http_field fields[32];
	char text[4096];
};

static void parse(struct request *r, const char *text)
{
	char *at = r->text, *end;
	assert_true(strlen(text) < sizeof(r->text));
	snprintf(r->text, sizeof(r->text), "%s", text);
	r->message = (struct edged_http_message){ .struct_size = sizeof(r->message), .fields = r->fields };
	end = strchr(at, ' ');
	r->message.method = edged_slice(at, (size_t)(end - at));
	at = end + 1;
	end = strchr(at, '\n');
	r->message.target = edged_slice(at, (size_t)(end - at));
	for (at = end + 1; *at != '\n'; at = end + 1) {
		char *colon = strchr(at, ':'), *value = colon + 1 + strspn(colon + 1, " ");
		end = strchr(at, '\n');
		r->fields[r->message.field_count++] =
		        (struct edged_http_field){ edged_slice(at, (size_t)(colon - at)),
			        edged_slice(value, (size_t)(end - value)) };
	}
	r->message.body = edged_str(at + 1);
}

/* NULL: it is signed with SECRET; else why not. */
static const char *flaw_at(const char *text, int64_t now)
{
	struct request r;
	struct sigv4 s;
	const char *why = NULL;
	parse(&r, text);
	int n = sigv4_read(&r.message, &s, &why);
	assert_true(n == 0 || n == SIGV4_NONE || (n == -EINVAL && why));
	if (n == SIGV4_NONE)
		return "none";
	if (!n)
		n = sigv4_verify(&r.message, &s, edged_str(SECRET), &why);
	if (!n)
		n = sigv4_judge_time(&s, now, &why);
	assert_true(!n == !why);
	return why;
}

static const char *flaw(const char *text)
{
	return flaw_at(text, AT);
}

#define SIGNED(service, headers, signature)                                                                  \
	"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" service                 \
	"/aws4_request, SignedHeaders=" headers ", Signature=" signature "\n"
#define HOST             "Host:example.amazonaws.com\n"
#define TIME             "X-Amz-Date:" DATE "\n"
#define SUITE(signature) HOST TIME SIGNED("service", "host;x-amz-date", signature) "\n"

static const char vanilla[] =
        "GET /\n" SUITE("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
static const char topic[] =
        "POST /topics/a%2Fb%20c?qos=1\nHost: localhost:8883\n" TIME
        "x-amz-mqtt5-correlation-data: AAE=\n" SIGNED("iotdata",
                "host;x-amz-date;x-amz-mqtt5-correlation-data",
                "c3c4a6cfff0fdc7e2a4e7569450dfb5eb0ced6aa56e99cbf5afe9741f8c9448f") "\nhello";
#define PRESIGNED                                                                                            \
	"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%"              \
	"2Fiotdevicegateway%2Faws4_request&X-Amz-Date=" DATE
static const char websocket[] =
        "GET /mqtt?" PRESIGNED "&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "1f85e96b015bcc61578545da1f6814fa03af1acde2dc6385a568386b058478d4\nHost: localhost:8883\n\n";
static const char expiring[] =
        "GET /mqtt?" PRESIGNED "&X-Amz-Expires=3600&X-Amz-SignedHeaders=connection%3Bhost&X-Amz-Signature="
        "7bce878fe60e31ee7d4ab313c20e795e2b5608b49875fe89f551ee60da78df01\nHost: localhost\nConnection: "
        "Upgrade\n\n";

static const char *const good[] = {
	vanilla,
	topic,
	websocket,
	expiring,
	"POST /\n" SUITE("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
	"GET /?Param2=value2&Param1=value1\n" SUITE(
	        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
	"GET /?Param1=value1\n" SUITE("a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
	"GET /\xe1\x88\xb4\n" SUITE("8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
	"GET /?\xe1\x88\xb4=bar\n" SUITE("2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
	"GET /?%e1%88%B4=%62ar\n" SUITE("2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
	"GET /\n" HOST "My-Header1: value1\nMy-Header2: \"a   b   c\"\n" TIME SIGNED("service",
	        "host;my-header1;my-header2;x-amz-date",
	        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736") "\n",
	"GET /\n" HOST "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\n" TIME SIGNED("service",
	        "host;my-header1;x-amz-date",
	        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea") "\n",
	"POST /\nContent-Type:application/x-www-form-urlencoded\n" HOST TIME SIGNED("service",
	        "content-type;host;x-amz-date",
	        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a") "\nParam1=value1",
	"GET /?Action=ListUsers&Version=2010-05-08\nHost: iam.amazonaws.com\nContent-Type: "
	"application/x-www-form-urlencoded; charset=utf-8\n" TIME SIGNED("iam",
	        "content-type;host;x-amz-date",
	        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7") "\n",
};

static void the_published_requests_are_verified(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *why = flaw(good[i]);
		if (why)
			fail_msg("%s\n%s", why, good[i]);
	}
}

/* Each byte that matters, changed by itself: there is no other request with this signature. */
static void nothing_may_change_on_the_way(void **state)
{
	(void)state;
	static const char *const texts[] = { topic, expiring, good[11] };
	for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
		char text[2048];
		size_t n = strlen(texts[k]);
		for (size_t i = 0; i < n; i++) {
			snprintf(text, sizeof(text), "%s", texts[k]);
			if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'b' && text[i] <= 'z')))
				continue; /* the others are the syntax of this test's requests, or of names in any case */
			text[i] = text[i] == 'x' ? 'y' : 'x';
			if (!flaw(text))
				fail_msg("changed at %zu: %s", i, text);
		}
		struct request r;
		struct sigv4 s;
		const char *why;
		parse(&r, texts[k]);
		assert_int_equal(sigv4_read(&r.message, &s, &why), 0);
		assert_int_equal(sigv4_verify(&r.message, &s, edged_str(SECRET "x"), &why), -EINVAL);
		assert_int_equal(sigv4_verify(&r.message, &s, edged_str(""), &why), -EINVAL);
	}
}

static void a_signature_ends(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int from, to;
	} rows[] = { { vanilla, -300, 300 }, { websocket, -300, 300 }, { expiring, -300, 3600 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_null(flaw_at(rows[i].text, AT + rows[i].from));
		assert_null(flaw_at(rows[i].text, AT + rows[i].to));
		assert_non_null(strstr(flaw_at(rows[i].text, AT + rows[i].from - 1), "clocks"));
		assert_non_null(strstr(flaw_at(rows[i].text, AT + rows[i].to + 1), "expired"));
	}
}

static void what_is_no_signature_is_told_apart_from_a_bad_one(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "GET /\nHost: x\n\n", "none" },
		{ "GET /\nAuthorization: Bearer AWS4-HMAC-SHA256\n\n", "none" },
		{ "GET /?X-Amz-Date=" DATE "\nHost: x\n\n", "none" },
		{ "GET /\nAuthorization: AWS4-HMAC-SHA256 \n\n", "no whole signature" },
		{ "GET /\n" TIME "Authorization: AWS4-HMAC-SHA256 Credential,SignedHeaders,Signature\n\n",
		        "no whole signature" },
		{ "GET /\n" HOST SIGNED("s", "host",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "X-Amz-Date" },
		{ "GET /\n" HOST "X-Amz-Date: 20150831T123600Z\n" SIGNED("s", "host",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "date of the credential" },
		{ "GET /\n" HOST TIME SIGNED("service", "x-amz-date",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "Host must be signed" },
		{ "GET /\n" HOST TIME
		  "X-Amz-Mqtt5-User-Properties: W10=\n" SIGNED("service", "host;x-amz-date",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "must be signed" },
		{ "GET /\n" HOST TIME SIGNED("service", "x-amz-date;host",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "in order" },
		{ "GET /\n" HOST TIME SIGNED("service", "host;missing;x-amz-date",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "in the request" },
		{ "GET /\n" HOST TIME
		  "X-Amz-Security-Token: x\n" SIGNED("service", "host;x-amz-date;x-amz-security-token",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\n",
		        "session token" },
		{ "GET /a//b\n" SUITE("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
		        "segments" },
		{ "GET /a/../\n" SUITE("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
		        "segments" },
		{ "PUT /\n" HOST TIME "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD\n" SIGNED("s3",
		          "host;x-amz-content-sha256;x-amz-date",
		          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") "\nx",
		        "body" },
		{ "GET /mqtt?X-Amz-Signature=00\nHost: x\n\n", "X-Amz-Algorithm" },
		{ "GET /mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00\nHost: x\n\n",
		        "no whole signature" },
		{ "GET /mqtt?" PRESIGNED "&X-Amz-Expires=0&X-Amz-SignedHeaders=host&X-Amz-Signature="
		  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\nHost: x\n\n",
		        "X-Amz-Expires" },
		{ "GET /mqtt?" PRESIGNED "&X-Amz-SignedHeaders=host&X-Amz-Security-Token=x&X-Amz-Signature="
		  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\nHost: x\n\n",
		        "session token" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = flaw(rows[i].text);
		if (!why || !strstr(why, rows[i].why))
			fail_msg("\"%s\" instead of \"%s\": %s", why ? why : "(good)", rows[i].why,
			        rows[i].text);
	}
}

static void a_query_has_its_limits(void **state)
{
	(void)state;
	char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "GET /?a");
	for (int i = 0; i < 64; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "&%d", i);
	snprintf(text + n, sizeof(text) - n,
	        "\n" SUITE("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"));
	assert_non_null(strstr(flaw(text), "64 parameters"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_requests_are_verified),
		cmocka_unit_test(nothing_may_change_on_the_way),
		cmocka_unit_test(a_signature_ends),
		cmocka_unit_test(what_is_no_signature_is_told_apart_from_a_bad_one),
		cmocka_unit_test(a_query_has_its_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
