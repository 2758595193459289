package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"birdring/registry"
)

func (a *app) alertsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Where new attributions are reported: signed webhooks",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("alerts has no command %q; it has add, list, test and remove", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return usagef("alerts add URL, list, test or remove") },
	}
	cmd.AddCommand(a.alertsAdd(), a.alertsList(), a.alertsTest(), a.alertsRemove())
	return cmd
}

// withRegistry opens the registry for one piece of work.
func (a *app) withRegistry(o registry.Options, work func(ctx context.Context, reg *registry.Registry, args []string) error) func(*cobra.Command, []string) error {
	return a.run(func(ctx context.Context, args []string) (err error) {
		reg, err := a.open(ctx, o)
		if err != nil {
			return err
		}
		defer closing(reg, &err)
		return work(ctx, reg, args)
	})
}

func (a *app) alertsAdd() *cobra.Command {
	return &cobra.Command{
		Use:   "add URL",
		Short: "Report to this webhook; prints its signing secret once",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("alerts add needs one URL")
			}
			if u, err := url.Parse(args[0]); err != nil || !isURL(args[0]) || u.Host == "" {
				return usagef("%q is no http or https URL", args[0])
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) error {
			hook, secret, err := reg.AddWebhook(ctx, args[0])
			if err != nil {
				return err
			}
			a.emit(struct {
				ID     string `json:"id"`
				URL    string `json:"url"`
				Secret string `json:"secret"`
			}{hook.ID, hook.URL, secret}, func(w io.Writer) {
				fmt.Fprintf(w, "%s  %s\nsigning secret, printed only now: %s\n", hook.ID, hook.URL, secret)
			})
			return nil
		}),
	}
}

func (a *app) alertsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List webhooks", Args: noArgs,
		RunE: a.withRegistry(registry.Options{ReadOnly: true}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			hooks, err := reg.Webhooks(ctx)
			for _, h := range hooks {
				a.emit(h, func(w io.Writer) { fmt.Fprintf(w, "%s  %s  since %s\n", h.ID, h.URL, stamp(h.Added)) })
			}
			return err
		}),
	}
}

func (a *app) alertsTest() *cobra.Command {
	return &cobra.Command{
		Use: "test", Short: "Send a test message to every webhook now", Args: noArgs,
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, _ []string) error {
			return reg.TestWebhook(ctx)
		}),
	}
}

func (a *app) alertsRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID|URL",
		Short: "Report to a webhook no longer",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("alerts remove needs the id or URL of one webhook; birdring alerts list shows them")
			}
			return nil
		},
		RunE: a.withRegistry(registry.Options{}, func(ctx context.Context, reg *registry.Registry, args []string) error {
			return reg.RemoveWebhook(ctx, args[0])
		}),
	}
}
