"""The `media` dataset: people who watch, search, like and buy, with every effect known.

- `world`: the entry point, `generate_media`
- `parameters`: every parameter and effect, with units, and when it happens (`Timeline`)
- `people`: who they are: attributes, latent activity, lifetimes, arms
- `visits`: on which days they come, and when on those days
- `chain`: what they do in a visit: a Markov chain of steps with play runs and checkouts
- `effects`: exposure, adoption and roll-out: what acts on which visit
- `outcomes`: what each user would do with and without each effect, by the same random numbers
- `unfold`: steps to events, as numbers
- `tables`: numbers to the columns of the files
- `planted`: the ground truth as one JSON document
- `retention`: the expected retention curve
"""
