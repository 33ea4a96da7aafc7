/* SPDX-License-Identifier: Apache-2.0 */
#include "app.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "cluster/elsewhere.h"
#include "cluster/identity.h"
#include "cluster/proxy.h"
#include "conf/conf.h"
#include "core/router.h"
#include "events.h"
#include "figures.h"
#include "io/http_server.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/stream.h"
#include "mesh.h"
#include "notify.h"
#include "plugin/host.h"
#include "plugin/metrics.h"
#include "reload.h"
#include "settings.h"
#include "state.h"
#include "store/store.h"
#include "watchdog.h"

/* Listeners open when all plugins have started, or after this time without the slow ones. */
enum { PLUGIN_PATIENCE_MS = 5000 };
/* At the stop last words get this long to go out; looked at in steps. */
enum { GOODBYE_MS = 500, GOODBYE_STEP_MS = 2 };

struct app {
	const struct args *args;
	struct conf *conf;
	struct conf_findings findings;
	struct state *state;
	struct access *access;
	struct loops *loops;
	struct store *store;
	struct mesh *mesh;
	struct listeners *listeners;
	struct requests *requests;
	struct router *router;
	struct http_server *http;
	struct metrics *metrics;
	struct figures *figures;
	struct events *events;
	struct plugins *plugins;
	struct api *api;
	struct watchdog *watchdog;
	struct watch *signals[3];
	struct timer *patience;
	struct timer *goodbye;
	uint64_t goodbye_end;
	bool plugins_running;
	bool listening;
	bool stopping;
	uint64_t start_ms;
	struct err *failure; /* of the app_run() under way */
	int result;
};

/* --- what other parts ask the app ------------------------------------------------------------------------------------ */

static uint64_t now_ms(void *arg)
{
	struct app *app = arg;
	return loop_now(loops_at(app->loops, 0));
}

static int print_listeners(struct app *app, struct buf *out)
{
	struct listener_info info;
	int r = buf_add_str(out, "[");
	for (unsigned i = 0; !r && listeners_info(app->listeners, i, &info); i++) {
		r = buf_addf(out, "%s{\"protocol\":\"%s\",\"address\":", i ? "," : "", info.protocol);
		if (!r)
			r = buf_add_json(out, edged_str(info.address));
		if (!r)
			r = buf_addf(out, ",\"tls\":%s}", info.tls ? "true" : "false");
	}
	return r ? r : buf_add_str(out, "]");
}

static int node_json(void *arg, struct buf *out)
{
	struct app *app = arg;
	int r = buf_addf(out, "\"id\":\"%s\",\"name\":", identity_node_id(mesh_identity(app->mesh)));
	if (!r)
		r = buf_add_json(out, edged_str(identity_name(mesh_identity(app->mesh))));
	if (!r)
		r = buf_addf(out,
		        ",\"version\":\"%s\",\"account\":\"%s\",\"uptimeSeconds\":%llu,\"listeners\":",
		        EDGED_VERSION, identity_account_id(mesh_identity(app->mesh)),
		        (unsigned long long)((clock_mono_ms() - app->start_ms) / 1000));
	return r ? r : print_listeners(app, out);
}

/* What plugins are told of the node: the CA that its own certificate is from, too. */
static int node_for_plugins(void *arg, struct buf *out)
{
	struct app *app = arg;
	int r = buf_add_str(out, "{");
	if (!r)
		r = node_json(app, out);
	if (!r)
		r = buf_add_str(out, ",\"ca\":");
	if (!r)
		r = buf_add_json(out, edged_str(identity_ca_pem(mesh_identity(app->mesh))));
	return r ? r : buf_add_str(out, "}");
}

static int elsewhere(void *arg, edged_handle request, const char *service, const char *probe,
        const char *type, const char *title, const char *detail)
{
	const struct app *app = arg;
	return elsewhere_pass(mesh_parts(app->mesh)->elsewhere, request, edged_str(service), edged_str(probe),
	        type, title, detail);
}

static void peers_for_plugins(
        void *arg, void (*each)(void *each_arg, const char *node_id, bool there), void *each_arg)
{
	const struct app *app = arg;
	mesh_peers(app->mesh, each, each_arg);
}

static void holders_for_plugins(
        void *arg, const char *role, void (*each)(void *each_arg, const char *node_id), void *each_arg)
{
	const struct app *app = arg;
	cluster_role_holders(mesh_parts(app->mesh)->cluster, edged_str(role), each, each_arg);
}

static void peers_changed(void *arg)
{
	const struct app *app = arg;
	if (app->plugins)
		plugins_peers_changed(app->plugins);
}

static int dial_for_plugins(void *arg, const char *node_id, struct dial_options *options, struct dial **ret)
{
	const struct app *app = arg;
	return mesh_dial(app->mesh, node_id, options, ret);
}

static int proxy_cache_for_plugins(
        void *arg, const char *plugin, const struct edged_proxy_cache *cache, void *self)
{
	const struct app *app = arg;
	return proxy_set_cache(mesh_parts(app->mesh)->proxy, plugin, cache, self);
}

static bool node_ready(void *arg, struct buf *reasons)
{
	struct app *app = arg;
	if (app->listening)
		return true;
	(void)buf_add_str(reasons, "\"the listeners are not open yet\"");
	return false;
}

static int admit(
        void *arg, const struct http_admission *admission, const char **ret_title, const char **ret_detail)
{
	struct app *app = arg;
	struct access_request request = { .method = admission->method,
		.path = admission->path,
		.host = admission->host,
		.authorization = admission->authorization,
		.peer = admission->peer };
	int status = access_judge(app->access, &request, ret_title, ret_detail);
	bool open =
	        admission->websocket || router_is_open(app->router, admission->method, admission->segments);
	return status == ACCESS_ANYBODY || (status && open && admission->peer->tls) ? HTTP_ANYBODY : status;
}

static enum edged_login_outcome signer(
        void *arg, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	struct app *app = arg;
	return plugins_signer(app->plugins, message, ret);
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static int write_run(struct app *app)
{
	CLEANUP(buf_fini) struct buf json = BUF_EMPTY;
	int r = buf_addf(&json, "{\"pid\":%d,\"nodeId\":\"%s\",\"listeners\":", (int)getpid(),
	        identity_node_id(mesh_identity(app->mesh)));
	if (!r)
		r = print_listeners(app, &json);
	if (!r)
		r = buf_add_str(&json, "}\n");
	return r ? r : state_write_run(app->state, buf_slice(&json), app->failure);
}

static int open_listeners(struct app *app)
{
	CLEANUP(buf_fini) struct buf control = BUF_EMPTY;
	const char *path = conf_string(app->conf, "net.control");
	int r = *path ? buf_addf(&control, "http=unix:%s", path)
	              : buf_addf(&control, "http=unix:%s/edged.sock", state_folder(app->state));
	if (!r)
		r = listeners_open(app->listeners, control.ptr, mesh_tls(app->mesh), app->failure);
	for (size_t i = 0; !r && conf_strings(app->conf, "net.listen", i); i++)
		r = listeners_open(app->listeners, conf_strings(app->conf, "net.listen", i),
		        mesh_tls(app->mesh), app->failure);
	return r;
}

static const char *address_of(struct app *app, const char *protocol, struct listener_info *info)
{
	for (unsigned i = 0; listeners_info(app->listeners, i, info); i++)
		if (strcmp(info->protocol, protocol) == 0 && strncmp(info->address, "unix:", 5) != 0)
			return info->address;
	return NULL;
}

/* For the person who started it at a terminal: where to go next. */
static void print_welcome(struct app *app)
{
	struct listener_info info;
	const char *http = address_of(app, "http", &info);
	printf("edged %s runs: node %.7s, state in %s\n", EDGED_VERSION,
	        identity_node_id(mesh_identity(app->mesh)), state_folder(app->state));
	if (app->args->dev)
		puts("--dev: anyone on this machine may use it without a key. Not for production.");
	if (http)
		printf("  REST   http://%s    try: curl %s/edge/v1/node\n", http, http);
	if (http && !app->args->dev)
		printf("         with the key: -H \"Authorization: Bearer $(cat %s/access.key)\", or use "
		       "edgectl\n",
		        state_folder(app->state));
	const char *mqtt = address_of(app, "mqtt", &info);
	if (mqtt) {
		const char *port = strrchr(mqtt, ':') + 1;
		printf("  MQTT   %s    try: mosquitto_sub -p %s -t 'sensors/#' -v\n", mqtt, port);
		printf("                            and: mosquitto_pub -p %s -t sensors/a -m 21\n", port);
	}
	const char *tls = address_of(app, "tls", &info);
	if (tls)
		printf("  secure %s    nodes, and devices with a certificate\n", tls);
	fflush(stdout);
}

static void fail(struct app *app, int r)
{
	app->result = r;
	loops_stop(app->loops);
}

static void listen_now(struct app *app)
{
	if (app->listening)
		return;
	app->listening = true;
	timer_cancel(app->patience);
	int r = open_listeners(app);
	if (!r)
		r = mesh_start(app->mesh, app->failure);
	if (!r)
		r = write_run(app);
	if (r) {
		fail(app, r);
		return;
	}
	print_welcome(app);
	log_notice("edged", "ready after %llu ms", (unsigned long long)(clock_mono_ms() - app->start_ms));
	notify_ready();
}

static void patience_over(void *arg)
{
	struct app *app = arg;
	log_warning("edged", "some plugins have not started yet; the listeners open without them");
	listen_now(app);
}

static void plugins_changed(void *arg)
{
	struct app *app = arg;
	if (!app->plugins_running)
		return;
	if (!app->listening && plugins_ready(app->plugins, NULL))
		listen_now(app);
	events_emit(app->events, "pluginsChanged", edged_str("{}"));
	if (app->listening)
		mesh_refresh(app->mesh);
}

/* --- signals ------------------------------------------------------------------------------------------------------------- */

static void load_anew(struct app *app)
{
	const struct reload_parts parts = {
		.args = app->args,
		.conf = app->conf,
		.plugins = app->plugins,
		.listeners = app->listeners,
		.tls = mesh_tls(app->mesh),
		.requests = app->requests,
		.http = app->http,
	};
	struct err err = { "" };
	notify_reloading();
	if (reload(&parts) && app->listening) {
		app->failure = &err;
		if (write_run(app))
			log_error("edged", "reload: %s", err.text);
		mesh_refresh(app->mesh);
	}
	notify_ready();
}

/* The loops run on until every peer has what was said to it, or for as long as it is given. */
static void say_goodbye(void *arg)
{
	struct app *app = arg;
	if (stream_counts().open == 0 || clock_mono_ms() >= app->goodbye_end)
		loops_stop(app->loops);
	else
		timer_set(app->goodbye, GOODBYE_STEP_MS);
}

static void mesh_stopped(void *arg)
{
	struct app *app = arg;
	app->plugins_running = false;
	plugins_stop(app->plugins);
	requests_abandon(app->requests, NULL);
	http_server_stop(app->http);
	app->goodbye_end = clock_mono_ms() + GOODBYE_MS;
	timer_set(app->goodbye, GOODBYE_STEP_MS);
}

static void on_signal(void *arg, int signo)
{
	struct app *app = arg;
	if (signo == SIGHUP) {
		load_anew(app);
		return;
	}
	if (app->stopping)
		return;
	log_notice("edged", "stopping on signal %d", signo);
	app->stopping = true;
	notify_stopping();
	listeners_close(app->listeners);
	mesh_stop(app->mesh, mesh_stopped, app);
}

static int watch_signals(struct app *app)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int r = watch_signal(loops_at(app->loops, 0), numbers[i], on_signal, app, &app->signals[i]);
		if (r)
			return r;
	}
	return 0;
}

/* --- making the parts -------------------------------------------------------------------------------------------------------- */

static void *store_loop(void)
{
	return loop_self();
}

struct store_post {
	struct post post;
	void (*fn)(void *arg);
	void *arg;
};

static void run_store_post(struct post *post)
{
	struct store_post *mine = CONTAINER_OF(post, struct store_post, post);
	mine->fn(mine->arg);
	free(mine);
}

static void drop_store_post(struct post *post)
{
	free(CONTAINER_OF(post, struct store_post, post));
}

static void post_from_store(void *loop, void (*fn)(void *arg), void *arg)
{
	struct store_post *post = malloc(sizeof(*post));
	if (!post)
		abort(); /* a lost commit would leave somebody waiting for ever; the service manager starts us again */
	*post = (struct store_post){
		.post = { .fn = run_store_post, .drop = drop_store_post }, .fn = fn, .arg = arg
	};
	loop_post(loop, &post->post);
}

static int make_store(struct app *app, struct err *err)
{
	CLEANUP(free_charp) char *path = state_path(app->state, "edged.db");
	if (!path)
		return -ENOMEM;
	const struct store_options options = {
		.path = path,
		.group_ms = (uint64_t)conf_int(app->conf, "store.group"),
		.group_max_ms = (uint64_t)conf_int(app->conf, "store.group_max"),
		.queue_bytes = (size_t)conf_int(app->conf, "store.queue"),
		.cache_bytes = (size_t)conf_int(app->conf, "store.cache"),
		.log_bytes = (uint64_t)conf_int(app->conf, "store.log"),
		.executor = { .self = store_loop, .post = post_from_store },
	};
	int damaged = 0;
	int r = store_open(&options, &app->store, &damaged, err);
	if (!r && damaged)
		log_error("store", "%s was damaged; it was set aside as %s.damaged-..., and a new one begun",
		        path, path);
	return r;
}

static int services_json(void *arg, struct buf *out)
{
	struct app *app = arg;
	return plugins_services_json(app->plugins, out);
}

static int make_mesh(struct app *app, struct err *err)
{
	const struct mesh_deps deps = {
		.loops = app->loops,
		.conf = app->conf,
		.state = app->state,
		.listeners = app->listeners,
		.requests = app->requests,
		.router = app->router,
		.events = app->events,
		.services = services_json,
		.peers_changed = peers_changed,
		.arg = app,
	};
	return mesh_new(&deps, &app->mesh, err);
}

static int make_network(struct app *app)
{
	const struct listener_limits limits = settings_listeners(app->conf);
	const struct request_limits request_limits = settings_requests(app->conf);
	int r = listeners_new(app->loops, &limits, &app->listeners);
	if (!r)
		r = settings_proxies(app->conf, app->listeners);
	if (!r)
		r = requests_new(&request_limits, now_ms, app, &app->requests);
	return r ? r : router_new(app->requests, &app->router);
}

static int make_http(struct app *app, struct err *err)
{
	const struct http_server_options options = {
		.loop = loops_at(app->loops, 0),
		.listeners = app->listeners,
		.requests = app->requests,
		.router = app->router,
		.limits = settings_http(app->conf),
		.head_bytes = (size_t)conf_int(app->conf, "http.header"),
		.admit = admit,
		.signer = signer,
		.arg = app,
	};
	return http_server_new(&options, &app->http, err);
}

static int make_plugins(struct app *app, struct err *err)
{
	const struct plugins_deps deps = {
		.loops = app->loops,
		.listeners = app->listeners,
		.requests = app->requests,
		.router = app->router,
		.store = app->store,
		.conf = app->conf,
		.findings = &app->findings,
		.metrics = app->metrics,
		.node_id = identity_node_id(mesh_identity(app->mesh)),
		.state = state_folder(app->state),
		.limits = settings_plugins(app->conf),
		.changed = plugins_changed,
		.node_json = node_for_plugins,
		.elsewhere = elsewhere,
		.peers = peers_for_plugins,
		.holders = holders_for_plugins,
		.dial_node = dial_for_plugins,
		.proxy_cache = proxy_cache_for_plugins,
		.arg = app,
	};
	int r = plugins_new(&deps, &app->plugins);
	return r ? r : settings_add_plugins(app->conf, app->plugins, true, err);
}

static int make_api(struct app *app, struct err *err)
{
	const struct api_deps deps = {
		.requests = app->requests,
		.router = app->router,
		.conf = app->conf,
		.plugins = app->plugins,
		.metrics = app->metrics,
		.events = app->events,
		.node_json = node_json,
		.ready = node_ready,
		.arg = app,
	};
	return api_new(&deps, &app->api, err);
}

static int make_access(struct app *app, struct err *err)
{
	const char *given = conf_string(app->conf, "access.key_file");
	CLEANUP(free_charp) char *path = *given ? strdup(given) : state_path(app->state, "access.key");
	return path ? access_new(path, app->args->dev, &app->access, err) : -ENOMEM;
}

static int open_state(struct app *app, struct err *err)
{
	CLEANUP(free_charp)
	char *folder = app->args->state ? strdup(app->args->state) : state_default_folder();
	if (!folder)
		return err_set(err, -ENOENT, "no state folder: there is no home; name one with --state");
	return state_open(folder, &app->state, err);
}

static int make_parts(struct app *app, struct err *err)
{
	int r = make_access(app, err);
	if (!r)
		r = loops_new((unsigned)conf_int(app->conf, "net.loops"), &app->loops);
	if (!r)
		r = timer_new(loops_at(app->loops, 0), patience_over, app, &app->patience);
	if (!r)
		r = timer_new(loops_at(app->loops, 0), say_goodbye, app, &app->goodbye);
	if (!r)
		r = make_store(app, err);
	if (!r)
		r = make_network(app);
	if (!r)
		r = events_new(app->requests, &app->events);
	if (!r)
		r = make_mesh(app, err);
	if (!r)
		r = make_http(app, err);
	if (!r)
		r = metrics_new(&app->metrics);
	if (!r)
		r = figures_new(&(struct figures_deps){ .metrics = app->metrics,
		                        .requests = app->requests,
		                        .store = app->store,
		                        .mesh = app->mesh,
		                        .http = app->http },
		        &app->figures);
	if (!r)
		r = make_plugins(app, err);
	if (!r)
		r = make_api(app, err);
	if (!r)
		r = watchdog_new(app->loops, &app->watchdog);
	return r ? r : watch_signals(app);
}

int app_new(const struct args *args, struct app **ret, struct err *err)
{
	struct app *app = calloc(1, sizeof(*app));
	if (!app)
		return err_set(err, -ENOMEM, "no memory");
	app->args = args;
	app->start_ms = clock_mono_ms();
	*ret = app; /* half-made or not, the caller frees it */
	signal(SIGPIPE, SIG_IGN);
	int r = settings_fault(&app->findings, settings_load(args, &app->conf, &app->findings), err);
	if (!r) {
		settings_log(app->conf);
		r = open_state(app, err);
	}
	if (!r)
		r = make_parts(app, err);
	if (!r)
		r = settings_fault(&app->findings, conf_finish(app->conf, &app->findings), err);
	if (r && !*err->text)
		(void)err_set(err, r, "cannot start: %s", strerror(-r));
	return r;
}

int app_run(struct app *app, struct err *err)
{
	app->failure = err;
	timer_set(app->patience, PLUGIN_PATIENCE_MS);
	int r = plugins_start(app->plugins);
	if (r)
		return err_set(err, r, "cannot start the plugins: %s", strerror(-r));
	app->plugins_running = true;
	if (plugins_ready(app->plugins, NULL))
		listen_now(app);
	if (!app->result)
		r = loops_run(app->loops);
	if (app->result)
		r = app->result;
	if (r && !*err->text)
		(void)err_set(err, r, "%s", strerror(-r));
	return r;
}

void app_free(struct app *app)
{
	if (!app)
		return;
	app->plugins_running = false;
	if (app->listeners)
		listeners_close(app->listeners);
	watchdog_free(app->watchdog);
	for (size_t i = 0; i < ARRAY_LEN(app->signals); i++)
		watch_free(app->signals[i]);
	timer_free(app->patience);
	timer_free(app->goodbye);
	if (app->plugins)
		plugins_stop(app->plugins);
	api_free(app->api);
	plugins_free(TAKE(app->plugins));
	http_server_free(app->http);
	mesh_free(app->mesh);
	figures_free(app->figures);
	metrics_free(app->metrics);
	events_free(app->events);
	router_free(app->router);
	requests_free(app->requests);
	listeners_free(app->listeners);
	store_close(app->store);
	loops_free(app->loops);
	access_free(app->access);
	state_close(app->state);
	conf_free(app->conf);
	conf_findings_fini(&app->findings);
	free(app);
}
