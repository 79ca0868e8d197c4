package audit

import "context"

type actorKey struct{}

// WithActor says on whose behalf the operations under ctx are done.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, &a)
}

// ActorOf is the actor of ctx, nil without one.
func ActorOf(ctx context.Context) *Actor {
	a, _ := ctx.Value(actorKey{}).(*Actor)
	return a
}

// ByActor is e with the actor of ctx.
func ByActor(ctx context.Context, e Event) Event {
	e.Actor = ActorOf(ctx)
	return e
}
