"""What integration, fault and end-to-end tests stand on: installed planes, an operator process, waiting."""
