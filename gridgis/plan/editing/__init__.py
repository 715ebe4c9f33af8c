"""What edits of a plan are made of: drafts, cuts, the rules that none may break, and what each answers."""
