// SPDX-License-Identifier: MIT OR GPL-2.0
/* /proc/tidelock: live flows and the module's own state, for people; readable without an agent. */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "tidelock.h"

static struct proc_dir_entry *dir;

static void show_flow(struct tl_flow *flow, void *arg)
{
	struct seq_file *m = arg;
	char *line = kmalloc(TL_FLOW_LINE_MAX, GFP_KERNEL);
	struct tl_rec rec = { .kind = TL_REC_FLOW_OPENED };

	if (!line)
		return;
	tl_flow_describe(flow, &rec);
	seq_write(m, line, tl_rs_flow_line(&rec, line, TL_FLOW_LINE_MAX));
	kfree(line);
}

static int show_flows(struct seq_file *m, void *v)
{
	tl_flows_each(show_flow, m);
	return 0;
}

static int show_status(struct seq_file *m, void *v)
{
	struct tl_limits limits = tl_config_limits();

	seq_printf(m, "version %s\n", THIS_MODULE->version ? THIS_MODULE->version : "");
	seq_printf(m, "generation %llu\n", tl_config_generation());
	seq_printf(m, "services %u\n", limits.n_services);
	seq_printf(m, "prefilter %u\n", limits.n_prefilter);
	seq_printf(m, "subjects %u\n", tl_subjects_count());
	seq_printf(m, "flows %llu\n", tl_flows_live());
	seq_printf(m, "flows_in_plain %llu\n", tl_flows_in_plain());
	seq_printf(m, "handshakes %u\n", tl_flows_pending());
	seq_printf(m, "arenas %d\n", tl_arenas_live());
	seq_printf(m, "stack_high_water %llu\n", tl_lane_stack_high_water());
	return 0;
}

int tl_proc_init(void)
{
	dir = proc_mkdir("tidelock", NULL);
	if (!dir || !proc_create_single("flows", 0400, dir, show_flows) ||
	    !proc_create_single("status", 0400, dir, show_status)) {
		tl_proc_exit();
		return -ENOMEM;
	}
	return 0;
}

void tl_proc_exit(void)
{
	proc_remove(dir);
}
