"""The same columns in pandas, as a data scientist would write them: Parquet in, Parquet out."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd


def features(events_path: str, users_path: str, as_of_text: str) -> pd.DataFrame:
    """Return user_features of the saas spec as of a date."""
    as_of = pd.Timestamp(as_of_text)
    columns = ["event_id", "user_id", "event_time", "event_name", "value", "device", "geo"]
    log = pd.read_parquet(events_path, columns=columns)
    log["event_time"] = log["event_time"].dt.tz_localize(None)
    log = log[log["event_time"] < as_of].sort_values(["user_id", "event_time", "event_id"])
    recent = log["event_time"] >= as_of - pd.Timedelta(days=30)
    users = log["user_id"].unique()
    out = pd.DataFrame(index=pd.Index(users, name="user_id"))
    out["events"] = log.groupby("user_id").size()
    for name, event in {
        "page_views": "page_view",
        "pricing_views": "pricing_view",
        "demo_requests": "demo_request",
        "signups": "signup",
        "calendar_bookings": "calendar_booking",
        "logins": "login",
    }.items():
        mine = log["event_name"] == event
        out[name] = log[mine].groupby("user_id").size()
        out[f"{name}_30d"] = log[mine & recent].groupby("user_id").size()
    out = out.fillna(0)
    out["converted"] = (out["signups"] > 0) & (out["calendar_bookings"] > 0)
    days = log["event_time"].dt.floor("D")
    active = pd.DataFrame({"user_id": log["user_id"], "day": days})[recent].drop_duplicates()
    out["active_days_30d"] = active.groupby("user_id").size()
    pages = log["event_name"].isin(["page_view", "pricing_view"])
    out["avg_page_seconds"] = log[pages].groupby("user_id")["value"].mean()
    by_user = log.groupby("user_id")
    out["days_since_last_activity"] = (as_of - by_user["event_time"].max()).dt.days
    out["days_since_first_activity"] = (as_of - by_user["event_time"].min()).dt.days
    out[["location", "device"]] = by_user[["geo", "device"]].last()
    return _finished(out.join(_sessions(log, as_of)), users_path, as_of)


def _sessions(log: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    same = log["user_id"].to_numpy()[1:] == log["user_id"].to_numpy()[:-1]
    gap = log["event_time"].diff()
    starts = np.concatenate([[True], ~same]) | (gap > pd.Timedelta(minutes=30)).to_numpy()
    first = np.concatenate([[True], ~same])
    number = np.cumsum(starts)
    runs = log.assign(number=number).groupby("number")
    sessions = runs.agg(
        user_id=("user_id", "first"),
        start=("event_time", "min"),
        end=("event_time", "max"),
        events=("event_time", "size"),
    )
    sessions["before"] = gap.where(~first)[starts].to_numpy()
    closes = sessions["end"] + pd.Timedelta(minutes=30)
    sessions = sessions[closes < as_of].assign(closes=closes)
    seconds = (sessions["end"] - sessions["start"]).dt.total_seconds()
    spam = (sessions["events"] >= 20) & (seconds <= 2.0 * (sessions["events"] - 1))
    by_user = sessions.groupby("user_id")
    made = pd.DataFrame({"sessions": by_user.size()})
    recent = sessions["closes"] >= as_of - pd.Timedelta(days=30)
    made["sessions_30d"] = sessions[recent].groupby("user_id").size()
    repeats = sessions["before"] <= pd.Timedelta(days=7)
    made["repeat_session_rate"] = repeats.groupby(sessions["user_id"]).mean()
    made["bounce_rate"] = (sessions["events"] == 1).groupby(sessions["user_id"]).mean()
    made["session_events"] = by_user["events"].sum()
    made["spam_events"] = sessions[spam].groupby("user_id")["events"].sum()
    return made


def _finished(out: pd.DataFrame, users_path: str, as_of: pd.Timestamp) -> pd.DataFrame:
    counts = ["active_days_30d", "sessions", "sessions_30d", "session_events", "spam_events"]
    out[counts] = out[counts].fillna(0)
    out["spam_share"] = (out["spam_events"] / out["session_events"]).fillna(0)
    people = pd.read_parquet(users_path).sort_values("valid_from")
    known = people[people["valid_from"].dt.tz_localize(None) < as_of]
    out["account_balance"] = known.groupby("user_id")["account_balance"].last()
    out["account_balance"] = out["account_balance"].fillna(0)
    out["acquisition_channel"] = people.groupby("user_id")["acquisition_channel"].last()
    words = [
        ("page_views_30d", " page views, "),
        ("pricing_views_30d", " pricing views, "),
        ("demo_requests_30d", " demo requests on "),
        ("active_days_30d", " days of the last 30"),
    ]
    out["browsing_summary"] = ""
    for name, text in words:
        out["browsing_summary"] += out[name].astype(int).astype(str) + text
    out["in_population"] = ~out["converted"]
    return out


if __name__ == "__main__":
    events, users, day, target = sys.argv[1:]
    features(events, users, day).to_parquet(target)
