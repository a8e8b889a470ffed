"""What people and programs read: tables, text, progress, questions, and the JSON forms with their schemas."""
