/* SPDX-License-Identifier: Apache-2.0 */
/* The right name, but a function. */
__attribute__((visibility("default"))) int edged_plugin_v1(void);

int edged_plugin_v1(void)
{
	return 1;
}
