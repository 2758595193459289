package main
import ("context";"birdring/canary";"birdring/beacon/journal")
func measureKill(context.Context,*bench) error {return nil}
func measureHTTP(context.Context,*bench) error {return nil}
func measureBody(context.Context,*bench) error {return nil}
func measureIngest(context.Context,*bench) error {return nil}
func runSoak(context.Context, interface{}) error {return nil}
func serveHTTP(context.Context,*canary.Keyring,*journal.Journal,string) (said, error) {return said{},nil}
