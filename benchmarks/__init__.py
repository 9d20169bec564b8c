"""Side by side with peers: training, quality, preparation and scaling, each with its own command."""
