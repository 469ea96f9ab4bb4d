"""Who the person is to GitHub: signing in, keeping the token, exchanging it for Copilot's."""
