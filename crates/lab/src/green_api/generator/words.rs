//! Invented people and what they say.

pub(crate) const NAMES: [&str; 10] =
    ["Ira", "Иван Петров", "John", "Ольга", "Maria 🌷", "Пётр", "Anna-Lena", "Сергей С.", "Lu", "Екатерина II"];

pub(crate) const GROUPS: [&str; 5] = ["Team", "Родители 5Б", "Weekend 🏕", "Дачный посёлок", "Support"];

pub(crate) const TEXTS: [&str; 16] = [
    "hello",
    "Привет! Как дела?",
    "See you at 18:30",
    "Спасибо большое 🙏",
    "ok",
    "Ок",
    "Could you send me the invoice again, please? The last one would not open.",
    "Заказ № 1024 уже отправлен?",
    "😂😂😂",
    "👨‍👩‍👧‍👦 едем к бабушке",
    "two\nlines",
    "\"quoted\" and \\ back-slashed",
    "Это длинное сообщение, в котором человек подробно рассказывает о том, как прошёл его день, и всё никак не может остановиться.",
    "naïve café, 5 €",
    "1",
    "Добрый день. Подскажите, пожалуйста, вы работаете в субботу?",
];

pub(crate) const REACTIONS: [&str; 5] = ["👍", "❤️", "😂", "🙏", ""];
