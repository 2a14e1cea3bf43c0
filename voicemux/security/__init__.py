"""Who is who: our own key (identity), whom we know (contacts), and how strangers come to know each other."""
